package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// A result is what one proxy in front of one kind of peers took for fast and for slow clients.
type result struct {
	protocol   string
	proxy      string
	fast, slow cost
}

func (c *cost) median() time.Duration { return c.free[len(c.free)/2] }
func (c *cost) max() time.Duration    { return c.free[len(c.free)-1] }

func (c *cost) describe() string {
	return fmt.Sprintf("free after %.2f s, the last %.2f s, clients served after %.2f s; memory %.0f MB, disk %.0f MB, CPU %.2f s, left over %d",
		c.median().Seconds(), c.max().Seconds(), c.served.Seconds(), megabytes(c.memory), megabytes(c.disk), c.cpu.Seconds(), c.leftOver)
}

// writeTable writes Markdown. Times are in seconds, sizes in MB.
func writeTable(out io.Writer, results []result) error {
	var text strings.Builder
	text.WriteString("| peers | proxy | fast: free, median | last | served | slow: free, median | last | slow to fast, median | last " +
		"| fast: memory | disk | CPU | slow: memory | disk | CPU | left over |\n" +
		"|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	for i := range results {
		r := &results[i]
		fmt.Fprintf(&text, "| %s | %s | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f | %.0f | %.0f | %.2f | %.0f | %.0f | %.2f | %d |\n",
			r.protocol, r.proxy, r.fast.median().Seconds(), r.fast.max().Seconds(), r.fast.served.Seconds(),
			r.slow.median().Seconds(), r.slow.max().Seconds(),
			r.slow.median().Seconds()/r.fast.median().Seconds(), r.slow.max().Seconds()/r.fast.max().Seconds(),
			megabytes(r.fast.memory), megabytes(r.fast.disk), r.fast.cpu.Seconds(),
			megabytes(r.slow.memory), megabytes(r.slow.disk), r.slow.cpu.Seconds(), r.fast.leftOver+r.slow.leftOver)
	}
	_, err := io.WriteString(out, text.String())
	return err
}

func megabytes(n int64) float64 { return float64(n) / 1e6 }
