package main

import (
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
)

// The fields by which a process says whose answer this is. An answer without them is spillway's own.
const (
	fieldID   = "X-Soak-Id"
	fieldPID  = "X-Soak-Pid"
	fieldBody = "X-Soak-Body" // hash of the request's body
)

// An order is what a client asks for. The answer follows from it alone, whichever process gives it.
type order struct {
	id       uint64
	size     int // of the body
	status   int
	declared bool          // the answer says how long it is
	wait     time.Duration // before the head
	pieces   int           // in which the body is written, with a pause of the same length between two
	poison   bool          // the process ends instead
}

// target is the order as a path and a query; the path is different for each, so that two look the same to nobody.
func (o *order) target(prefix string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s%d?size=%d&status=%d&wait=%d&pieces=%d", prefix, o.id, o.size, o.status, o.wait.Milliseconds(), o.pieces)
	if o.declared {
		b.WriteString("&declared=1")
	}
	if o.poison {
		b.WriteString("&poison=1")
	}
	return b.String()
}

// parseOrder is the reverse of target.
func parseOrder(u *url.URL) (*order, error) {
	id, err := strconv.ParseUint(path.Base(u.Path), 10, 64)
	if err != nil {
		return nil, err
	}
	query := u.Query()
	o := &order{id: id, declared: query.Get("declared") != "", poison: query.Get("poison") != ""}
	var wait int
	for name, value := range map[string]*int{"size": &o.size, "status": &o.status, "wait": &wait, "pieces": &o.pieces} {
		if *value, err = strconv.Atoi(query.Get(name)); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	o.wait = time.Duration(wait) * time.Millisecond
	return o, nil
}
