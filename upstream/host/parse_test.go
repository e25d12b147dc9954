package host

import (
	"reflect"
	"strings"
	"testing"
)

const (
	dynamicEnglish = "\r\nProtocol tcp Dynamic Port Range\r\n---------------------------------\r\n" +
		"Start Port      : 49152\r\nNumber of Ports : 16384\r\n\r\n"
	dynamicGerman = "\r\nDynamischer Portbereich f\x81r Protokoll \"tcp\"\r\n---------------------------------\r\n" +
		"Startport            : 10000\r\nAnzahl von Ports     : 55535\r\n\r\n"
	dynamicJapanese = "\x83v\x83\x8d\x83g\x83R\x83\x8b tcp\r\n---------------------------------\r\n" +
		"\x8aJ\x8en\x83|\x81[\x83g     : 1025\r\n\x83|\x81[\x83g\x90\x94       : 64510\r\n"

	excludedEnglish = "\r\nProtocol tcp Port Exclusion Ranges\r\n\r\nStart Port    End Port      \r\n----------    --------      \r\n" +
		"      5357        5357      \r\n      8900        9099      \r\n     50000       50059     *\r\n\r\n* - Administered port exclusions.\r\n\r\n"
	excludedFrench = "Plages d\x82exclusion de ports du protocole tcp\r\n\r\nPort de d\x82but    Port de fin\r\n----------    --------\r\n" +
		"        80          80\r\n"
	excludedNone = "\r\nProtocol tcp Port Exclusion Ranges\r\n\r\nStart Port    End Port      \r\n----------    --------      \r\n\r\n* - Administered port exclusions.\r\n\r\n"
)

func TestParseDynamicPort(t *testing.T) {
	f := func(out string, want Range) {
		t.Helper()
		got, err := parseDynamicPort([]byte(out))
		if got != want || (err == nil) != (want != Range{}) {
			t.Errorf("%q: got %v, %v, want %v", out, got, err, want)
		}
	}
	f(dynamicEnglish, Range{49152, 65535})
	f(dynamicGerman, Range{10000, 65534})
	f(dynamicJapanese, Range{1025, 65534})
	f("", Range{})
	f("netsh: unknown command\r\n", Range{})
	f("a : 1\nb : 2\nc : 3\n", Range{})
	f("a : 60000\nb : 6000\n", Range{})
	f("49152\n16384\n", Range{})
}

func TestParseExcludedPorts(t *testing.T) {
	f := func(out, want string) {
		t.Helper()
		found, err := parseExcludedPorts([]byte(out))
		var texts []string
		for _, e := range found {
			text := e.String()
			if e.Reserved {
				text += "*"
			}
			texts = append(texts, text)
		}
		got := strings.Join(texts, " ")
		if err != nil {
			got = "unknown"
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", out, got, want)
		}
	}
	f(excludedEnglish, "5357 8900-9099 50000-50059*")
	f(excludedFrench, "80")
	f(excludedNone, "")
	f("", "unknown")
	f("The following command was not found: interface ipv4.\r\n", "unknown")
	f("----\n 5 4\n 0 7\n 70000 70001\n 1 2 +\n 1 2 3 4\n", "")
}

func TestParseTCP(t *testing.T) {
	const text = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000000000000000 100 0 0 10 0
   1: 0100007F:1F90 0100007F:C000 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0000000000000000 100 0 0 10 0
   2: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4713
   3: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 4714
   4: 0000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4713
   5: 00000000:10000 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4713
`
	var got []string
	for _, l := range parseTCP([]byte(text)) {
		got = append(got, l.address.String()+" "+l.inode)
	}
	want := []string{"127.0.0.1:8080 4711", "0.0.0.0:80 4713", "[::1]:80 4714"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestParseStat(t *testing.T) {
	f := func(text string, want Process) {
		t.Helper()
		if got, ok := parseStat([]byte(text)); got != want || ok != (want != Process{}) {
			t.Errorf("%q: got %+v, %v, want %+v", text, got, ok, want)
		}
	}
	f("12 (nginx) S 1 12 12 0 -1", Process{PID: 12, Name: "nginx", Parent: 1, Orphan: true, Group: 12})
	f("7 (a) b) R (c) Z 5 6 7", Process{PID: 7, Name: "a) b) R (c", Parent: 5, Group: 6})
	f("", Process{})
	f("7 a S 1 2", Process{})
	f("7 )a( S 1 2", Process{})
	f("7 (a) S", Process{})
	f("7 (a) S x 2", Process{})
}

func TestParseLives(t *testing.T) {
	f := func(text string, want bool) {
		t.Helper()
		if got := parseLives([]byte(text)); got != want {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
	f("7 (a) b) S 1 7 7 0 -1 4194560 1 2\n", true)
	f("7 (a) b) R 1 7 7 0 -1 4194564 1 2\n", false) // exiting
	f("7 (a) Z 1 7 7 0 -1 4194560 1 2\n", false)
	f("7 (a) X 1 7 7 0 -1 4194560 1 2\n", false)
	f("7 (a) S 1 7 7 0 -1 x\n", false)
	f("7 (a) S 1 7\n", false)
	f("", false)
}

func TestParseProcNumbers(t *testing.T) {
	if pages, ok := parseStatm([]byte("2209 345 300 1 0 112 0\n")); pages != 345 || !ok {
		t.Errorf("got %d, %v", pages, ok)
	}
	if _, ok := parseStatm([]byte("2209\n")); ok {
		t.Error("got pages of half a line")
	}
	if r, ok := parsePortRange([]byte("32768\t60999\n")); r != (Range{32768, 60999}) || !ok {
		t.Errorf("got %v, %v", r, ok)
	}
	if _, ok := parsePortRange([]byte("60999 32768")); ok {
		t.Error("got a range that is empty")
	}
	want := []Exclusion{{Range{8080, 8080}, true}, {Range{9001, 9008}, true}}
	if got := parseReserved([]byte("8080,9001-9008,7-6,x\n")); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := parseReserved([]byte("\n")); got != nil {
		t.Errorf("got %v, want nothing", got)
	}
}

// right fails the test when a range is none.
func right(t *testing.T, r Range) {
	t.Helper()
	if r.First < 1 || r.Last > 65535 || r.Last < r.First {
		t.Errorf("got range %+v", r)
	}
}

func FuzzNetsh(f *testing.F) {
	for _, seed := range []string{dynamicEnglish, dynamicGerman, dynamicJapanese, excludedEnglish, excludedFrench, excludedNone} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, out []byte) {
		if r, err := parseDynamicPort(out); err == nil {
			right(t, r)
		}
		excluded, _ := parseExcludedPorts(out)
		for _, e := range excluded {
			right(t, e.Range)
		}
	})
}

func FuzzProc(f *testing.F) {
	f.Add([]byte("   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1"))
	f.Add([]byte("12 (nginx) S 1 12 12 0 -1"))
	f.Add([]byte("2209 345 300 1 0 112 0\n"))
	f.Add([]byte("8080,9001-9008"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, l := range parseTCP(text) {
			if !l.address.IsValid() || l.inode == "" {
				t.Errorf("got %+v", l)
			}
		}
		if p, ok := parseStat(text); !ok && p != (Process{}) {
			t.Errorf("got %+v of what is not right", p)
		}
		if parseLives(text) && len(text) < len("S 1 2 3 4 5 6") {
			t.Errorf("got that %q lives", text)
		}
		if pages, ok := parseStatm(text); ok && pages < 0 {
			t.Errorf("got %d pages", pages)
		}
		if r, ok := parsePortRange(text); ok {
			right(t, r)
		}
		for _, e := range parseReserved(text) {
			right(t, e.Range)
		}
	})
}
