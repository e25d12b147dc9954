// Package errorlog writes the error log: a slog.Handler with nginx's lines and one with a JSON object per line.
//
// Who logs uses a constant message and attributes, see words.go for those that nginx has words for. The attribute
// "exchange" holds what the record is about, usually a *proxy.Exchange: a slog.LogValuer of a group with the keys conn,
// client, server, request, host and referrer. In nginx's lines it becomes "*7" and ", client: ..., server: ..."; in JSON
// its keys stand beside the others, conn under the name exchange.
//
// A line never holds a control byte, whatever was logged, and has a limit. A record is one Write, from any goroutine and
// without a lock, so Out must be safe for that; logfile.Writer is. Handler.Update changes output, level and format for all
// loggers that hold the handler or one made from it.
package errorlog
