package errorlog

import (
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"unicode/utf8"

	"spillway/proxy"
)

// words returns nginx's text for a message, "" when nginx has none. {key} stands for an attribute; what is in brackets is
// left out when its attribute is missing. nginx's context, ", client: ..." and so on, follows it; see appendContext.
func words(message string) string {
	switch message {
	case "peer failed", "request not sent":
		return "{err}[ while {phase}]"
	case "retry budget used up":
		return "retry budget is used up ({retries} retries in 10s), this failure and others are final[ while {phase}]"
	case "no live upstreams":
		return "no live upstreams while connecting to upstream"
	case "queue full":
		return "queue is full ({waiting} requests wait) while connecting to upstream"
	case "client queue full":
		return "queue is full for this client ({waiting} of its requests wait) while connecting to upstream"
	case "lane learned":
		return "lane learned: location {location} of upstream {upstream} is {lane} from now on"
	case "deadline passed":
		return "request has no answer within its deadline ({took})[ while {phase}]"
	case "request refused as poison":
		return "request is refused for {left}: {kills} processes have ended with it (poison_guard) while connecting to upstream"
	case "request hangs everywhere":
		return "request is sent to nobody else: {processes} processes have hung or ended with it (poison_guard)"
	case "no slot free":
		return "no process became free in {took} while connecting to upstream"
	case "no peer resolved":
		return "no host name was resolved in {took} while connecting to upstream"
	case "no process ready":
		return "no process became ready in {took} while connecting to upstream"
	case "process stuck":
		return "request took longer than busy_timeout ({took}), the process is stopped"
	case "peer disabled":
		return "upstream server temporarily disabled[ while {phase}]"
	case "peer is unhealthy":
		return "peer is unhealthy: {failures} probes[ ({probe})] have failed in a row, the last one with: {cause}"
	case "all peers are unhealthy":
		return "all peers are unhealthy: probes are not heeded until one succeeds"
	case "peer is healthy":
		return "peer is healthy"
	case "response spilled":
		return "an upstream response is buffered to a temporary file {file} while reading upstream"
	case "spill failed":
		return "{err} while reading upstream; the response goes on at the client's speed"
	case "request spilled":
		return "a client request body is buffered to a temporary file {file}"
	case "request body too large":
		return "client intended to send too large body: {bytes} bytes"
	case "chunked request body too large":
		return "client intended to send too large chunked body: {bytes} bytes"
	case "client gone":
		return "client prematurely closed connection, so upstream connection is closed too[ while {phase}]"
	case "client left queue":
		return "client prematurely closed connection while connecting to upstream"
	case "client closed during request body":
		return "client prematurely closed connection"
	case "process stderr":
		return `FastCGI sent in stderr: "{text}"[ while {phase}]`
	case "excess body":
		return `upstream sent more data than specified in "Content-Length" header while reading upstream`
	case "redirection cycle":
		return `rewrite or internal redirection cycle while {doing} "{target}"[ while {phase}]`
	case "unsafe redirect":
		return `unsafe URI "{target}" was detected[ while {phase}]`
	case "no named location":
		return `could not find named location "{target}"[ while {phase}]`
	case "request refused":
		return "{refusal}"
	case "handshake failed":
		return "{err} while SSL handshaking"
	case "panic":
		return "panic while {phase}: {err}"
	case "request body not held":
		return "{err}"
	case "process output":
		return "{backend}/{process} (pid {pid}) {stream}: {line}"
	default:
		return processWords(message)
	}
}

// processWords returns the text for what goes wrong with processes and files. nginx starts none and has no words for them; each
// line begins with its message, as do those that have no text here, and says where, what and what to do.
func processWords(message string) string {
	const who = "{backend}/{process} (pid {pid}, port {port})"
	switch message {
	case "process exited":
		return "process exited: " + who + " after {took}: {cause}[, reason: {reason}][, at most {memory} bytes of memory]" +
			"[; its last output: {output}]"
	case "process not ready":
		return "process not ready: " + who + " after {took}: {cause}; it is stopped"
	case "process not started":
		return "process not started: {backend}/{process} (port {port}): {cause}"
	case "process not replaced":
		return "process not replaced: {backend}/{process} goes on as it was, next try in {delay}, reason: {reason}: {cause}"
	case "process given up":
		return "process given up: {backend}/{process} (port {port}) has failed {failures} times in {window} (rapid_fail): {cause}" +
			"[; its last output: {output}]; when that is mended, `spillway restart {backend}` starts it"
	case "process killed":
		return "process killed: " + who + " had not ended {took} (stop_timeout) after its stop signal; all that it had started is killed, too"
	case "process left behind":
		return "process left behind: " + who + ": {cause}; end it by hand"
	case "process too large":
		return "process too large: " + who + " has {bytes} bytes of memory, more than max_memory ({limit}); it is replaced"
	case "port taken":
		return "port taken: {backend}[/{process}]: {cause}"
	case "process output left out":
		return "process output left out: {backend}/{process} wrote {lines} more lines than fit here; `output:` of the backend has a file for all"
	case "process output not written":
		return "process output not written: " + who + ": {cause}; look at the disk and the folder of its output file"
	case "output file not opened":
		return "output file not opened: {backend}/{process} (port {port}) runs without it: {cause}; " +
			"when that is mended, `spillway restart {backend}` opens it"
	case "name not resolved":
		return `host not found in upstream "{name}": {cause}; upstream {upstream} has no peer of it until it is resolved: ` +
			"look at the name, and at `resolver`"
	case "name not refreshed":
		return "{name} could not be resolved: {cause}; upstream {upstream} keeps the addresses of the last answer, which is {age} old"
	case "file not rotated":
		return "file not rotated: {cause}; look at its folder"
	case "file not written":
		return "file not written: {file}: {cause}; its lines wait, and are lost when there are too many; look at its disk"
	case "running exchanges were cut":
		return "running exchanges were cut: {requests} requests and {tunnels} tunnels of listener {listener} after {took}: {cause}"
	case "requests cut with their process":
		return "requests cut with their process: {requests} requests or tunnels of {backend} at port {port} after {took}: {cause}"
	case "configuration not reloaded":
		return "configuration not reloaded, {file} as it was before serves on: {cause}"
	case "certificate expires":
		return "certificate expires: {file}:{line}: {cause}; renew it, and then: spillway reload"
	case "processes not restarted":
		return "processes not restarted: {cause}"
	default:
		return ""
	}
}

// appendWords appends text with the attributes of r in it.
func appendWords(dst []byte, text string, r *record) []byte {
	for text != "" {
		plain, rest, found := strings.Cut(text, "[")
		dst, _ = appendPart(dst, plain, r)
		if !found {
			break
		}
		optional, after, _ := strings.Cut(rest, "]")
		if longer, complete := appendPart(dst, optional, r); complete {
			dst = longer
		}
		text = after
	}
	return dst
}

// appendPart is appendWords without brackets; false: an attribute is missing.
func appendPart(dst []byte, text string, r *record) ([]byte, bool) {
	complete := true
	for {
		plain, rest, found := strings.Cut(text, "{")
		dst = append(dst, plain...)
		if !found {
			return dst, complete
		}
		key, after, _ := strings.Cut(rest, "}")
		value := r.word(key)
		complete = complete && value != ""
		dst = append(dst, value...)
		text = after
	}
}

// word returns the text that {key} stands for.
func (r *record) word(key string) string {
	switch key {
	case "err":
		value, _ := r.find("err")
		return failure(value)
	case "cause": // whole: what was done when it failed is in it
		return r.text("err")
	case "refusal":
		return r.refusal()
	case "output":
		if value, found := r.find("output"); found {
			return newest(value.String(), maxNginxOutput)
		}
		return ""
	case "text", "line":
		return shortened(strings.TrimRight(r.text(key), "\r\n"), maxNginxText)
	default:
		return r.text(key)
	}
}

// maxNginxText is what a line has of an application's text: the rest of the line says which request it came with.
const maxNginxText = 1024

// shortened is as much of text as has room. Control characters take up to four bytes in a line.
func shortened(text string, room int) string {
	for i, c := range text {
		if room--; c < ' ' {
			room -= len(`\x0A`) - 1
		} else {
			room -= utf8.RuneLen(c) - 1
		}
		if room < 0 {
			return text[:i] + "..."
		}
	}
	return text
}

// maxNginxOutput is what a line has of the last output of a process: what comes before and after is hardly more than the rest.
const maxNginxOutput = 1536

// newest are the last lines of text that have so much room: what a program says at its end is why it ended. Of a last line that
// alone is longer it is the beginning.
func newest(text string, room int) string {
	from, left := len(text), room
	for from > 0 {
		start := strings.LastIndexByte(text[:from-1], '\n') + 1
		if left -= escapedSize(text[start:from]); left < 0 {
			break
		}
		from = start
	}
	if from == len(text) {
		return shortened(text[strings.LastIndexByte(text, '\n')+1:], room)
	}
	return text[from:]
}

// escapedSize is the length of text once escapeControl has been over it.
func escapedSize(text string) (n int) {
	for left := []byte(text); len(left) > 0; {
		size := harmless(left)
		if n += size; size == 0 {
			size, n = 1, n+len(`\x0A`)
		}
		left = left[size:]
	}
	return n
}

// refusal says what was wrong with a request. Errors that begin with "client " are in nginx's words already.
func (r *record) refusal() string {
	text := r.text("err")
	value, _ := r.find("err")
	err, _ := value.Any().(error)
	if status := (*proxy.StatusError)(nil); errors.As(err, &status) && status.Err != nil {
		text = status.Err.Error()
		if status.Code == http.StatusRequestTimeout {
			text = "client timed out"
		}
	}
	if !strings.HasPrefix(text, "client ") {
		text = "client sent invalid request: " + text
	}
	if strings.Contains(text, " while ") {
		return text
	}
	phase := r.text("phase")
	if phase == "" {
		phase = "reading client request headers"
	}
	return text + " while " + phase
}

// failure is the text of an error; those of files are in nginx's form: open() "path" failed (2: No such file or directory).
func failure(value slog.Value) string {
	err, _ := value.Any().(error)
	file, errno := (*fs.PathError)(nil), syscall.Errno(0)
	if !errors.As(err, &file) || !errors.As(file.Err, &errno) {
		return valueText(value)
	}
	text := strings.TrimRight(errno.Error(), ". \r\n")
	if text != "" {
		text = strings.ToUpper(text[:1]) + text[1:]
	}
	return callName(file.Op) + ` "` + file.Path + `" failed (` + strconv.Itoa(int(errno)) + ": " + text + ")"
}
