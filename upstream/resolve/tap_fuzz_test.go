package resolve

import (
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// message is an answer to question with the TTLs; nil without a question.
func message(tb testing.TB, header dnsmessage.Header, question dnsmessage.Question, ttls ...uint32) []byte {
	tb.Helper()
	m := dnsmessage.Message{Header: header, Questions: []dnsmessage.Question{question}}
	for i, ttl := range ttls {
		m.Answers = append(m.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: ttl},
			Body:   &dnsmessage.AResource{A: [4]byte{10, 0, 0, byte(i)}},
		})
	}
	packed, err := m.Pack()
	if err != nil {
		tb.Fatal(err)
	}
	return packed
}

func question(name string) dnsmessage.Question {
	return dnsmessage.Question{Name: dnsmessage.MustNewName(name), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}
}

func TestLeastTTL(t *testing.T) {
	asked := question("app.test.")
	f := func(name string, message []byte, want uint32, wantOK bool) {
		t.Helper()
		if got, ok := leastTTL(message, 7, asked); got != want || ok != wantOK {
			t.Errorf("%s: got %d, %v, want %d, %v", name, got, ok, want, wantOK)
		}
	}
	answer := dnsmessage.Header{ID: 7, Response: true}
	good := message(t, answer, asked, 60, 17, 90)
	f("the smallest", good, 17, true)
	f("letter case", message(t, answer, question("APP.test."), 5), 5, true)
	f("no answers", message(t, answer, asked), 0, false)
	f("cut", good[:len(good)-3], 17, true) // net.Resolver refuses it
	f("nothing", nil, 0, false)
	f("another id", message(t, dnsmessage.Header{ID: 8, Response: true}, asked, 5), 0, false)
	f("a question", message(t, dnsmessage.Header{ID: 7}, asked, 5), 0, false)
	f("an error", message(t, dnsmessage.Header{ID: 7, Response: true, RCode: dnsmessage.RCodeServerFailure}, asked, 5), 0, false)
	f("another name", message(t, answer, question("other.test."), 5), 0, false)
	other := asked
	other.Type = dnsmessage.TypeAAAA
	f("another type", message(t, answer, other, 5), 0, false)
}

func FuzzLeastTTL(f *testing.F) {
	asked := question("app.test.")
	f.Add(message(f, dnsmessage.Header{ID: 7, Response: true}, asked, 60, 17))
	f.Add(message(f, dnsmessage.Header{ID: 7, Response: true}, asked))
	f.Add([]byte{0, 7, 0x80})
	f.Fuzz(func(t *testing.T, message []byte) {
		if least, ok := leastTTL(message, 7, asked); !ok && least != 0 {
			t.Errorf("got a TTL of %d from nothing", least)
		}
	})
}
