package proxy

import (
	"net/http"

	"spillway/proxy/httpfield"
)

// AddedField is a field for the client, nginx's add_header.
type AddedField struct {
	Name   string
	Value  *Template // a field whose value is empty is left out
	Always bool      // with every status
}

// addFields adds those of the route to the response, when all else in it is there.
func (ex *Exchange) addFields() {
	if ex.Route == nil || len(ex.Route.AddHeader) == 0 {
		return
	}
	usual := usualStatus(ex.Status())
	for i := range ex.Route.AddHeader {
		f := &ex.Route.AddHeader[i]
		if !usual && !f.Always {
			continue
		}
		ex.Text = httpfield.Clean(f.Value.Append(ex.Text[:0], ex), 0)
		if len(ex.Text) > 0 {
			ex.Response.AddBytesV(f.Name, ex.Text)
		}
	}
}

// usualStatus says whether nginx's add_header adds to a response without "always".
func usualStatus(status int) bool {
	switch status {
	case http.StatusOK, http.StatusCreated, http.StatusNoContent, http.StatusPartialContent, http.StatusMovedPermanently,
		http.StatusFound, http.StatusSeeOther, http.StatusNotModified, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	default:
		return false
	}
}
