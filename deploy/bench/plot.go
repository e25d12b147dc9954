package main

import (
	"bytes"
	"fmt"
	"os"
	"text/template"
)

// The measures of the plot are in pixels.
const (
	barHeight  = 13
	groupGap   = 14
	plotTop    = 62
	plotLeft   = 250
	perNginx   = 180 // a bar of nginx's length
	longestBar = 3.2 // in bars of nginx; a longer one is cut
)

// A plot has a group of bars for each scenario.
type plot struct {
	Width, Height int
	Left, Top     int
	Bottom        int
	Marks         []mark
	Groups        []group
}

// A mark is a line of the scale.
type mark struct {
	X    int
	Text string
}

type group struct {
	Y     int // middle
	Name  string
	About string
	Bars  []bar
}

type bar struct {
	Y, Width, Height int
	TextX, TextY     int
	Color            string
	Text             string
}

// colors are those of the proxies; spillway's stands out.
func colors() map[string]string {
	return map[string]string{
		nginxName: "#8a929c", "haproxy": "#b3bac3", "lighttpd": "#c9b79c", "caddy": "#d8dce1", spillwayName: "#1f7a8c",
	}
}

// newPlot draws the ratios to nginx. Results without one, and the scenarios that have none, are not there.
func newPlot(results []result) plot {
	p := plot{Width: plotLeft + int(longestBar*perNginx) + 150, Left: plotLeft, Top: plotTop}
	y := plotTop
	for i := range results {
		r := &results[i]
		if r.ratio == 0 {
			continue
		}
		if n := len(p.Groups); n == 0 || p.Groups[n-1].Name != r.scenario.name() {
			y += groupGap
			p.Groups = append(p.Groups, group{Name: r.scenario.name(), About: r.scenario.about})
		}
		g := &p.Groups[len(p.Groups)-1]
		text := fmt.Sprintf("%s %.2f", r.proxy, r.ratio)
		if r.ratio > longestBar {
			text += " (cut)"
		}
		width := int(min(r.ratio, longestBar) * perNginx)
		g.Bars = append(g.Bars, bar{
			Y: y, Width: width, Height: barHeight - 2, TextX: plotLeft + width + 6, TextY: y + barHeight - 3,
			Color: colors()[r.proxy], Text: text,
		})
		y += barHeight
		g.Y = (g.Bars[0].Y + y) / 2
	}
	for n := range 7 {
		x := float64(n) / 2
		p.Marks = append(p.Marks, mark{X: plotLeft + int(x*perNginx), Text: fmt.Sprintf("%.1f", x)})
	}
	p.Bottom = y + groupGap
	p.Height = p.Bottom + groupGap
	return p
}

// writePlot writes an SVG file.
func writePlot(name string, results []result) error {
	t, err := template.ParseFS(templates, "plot.svg.tmpl")
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := t.Execute(&text, newPlot(results)); err != nil {
		return err
	}
	return os.WriteFile(name, text.Bytes(), 0o644)
}
