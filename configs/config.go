package configs

// Config is a whole configuration with nothing left to fill in.
type Config struct {
	File string // as it was given to Load or Parse
	Dir  string // absolute folder of File; relative paths in the file begin here

	Servers   []*Server   // in the order of the file
	Upstreams []*Upstream // in the order of the file

	AccessLog AccessLog
	ErrorLog  ErrorLog
	Admin     Admin
	Why       Why
	Resolver  Resolver

	// Control is where the command line finds a running instance: ControlOff, the path of a unix socket or the name of a
	// pipe; empty for one that follows from the path of the configuration.
	Control string

	TempPath        string   // absolute folder of the spill files; created by who uses it
	MemoryBudget    Size     // of the buffers of all exchanges together
	TempBudget      Size     // of the spill files of all exchanges together
	ShutdownTimeout Duration // how long running exchanges may go on after quit

	Templates []WrittenTemplate // all that the file has

	Places Places
}

// AccessLog says where finished exchanges are written.
type AccessLog struct {
	Path   string   // absolute; empty when off
	Format Template // combined, json, or a line of its own
	Rotate Rotate

	Places Places
}

// ErrorLog says where the log of the program goes.
type ErrorLog struct {
	Path   string // absolute, or Stderr
	Level  string // lowest level that is written: debug, info, notice, warn, error, crit, alert or emerg
	Format string // nginx or json
	Rotate Rotate // off with Stderr

	Places Places
}

// Stderr as the path of the error log is the standard error stream.
const Stderr = "stderr"

// ControlOff as Config.Control means that a running instance takes no commands.
const ControlOff = "off"

// Why says what is kept of requests in which something has failed, for `spillway why`.
type Why struct {
	Keep   int  // requests at most; 0: nothing is kept, and none gets an id
	Memory Size // of what is kept of them and of the processes that have ended, at most
	Header bool // clients are told the id, in a field and on the error page

	Places Places
}

// Rotate says when a log file is put aside and a new one begun. The zero value is never.
type Rotate struct {
	Size     Size     // a file that would grow beyond this; 0 is any size
	Every    Duration // a file that is so old; 0 is any age
	Keep     int      // files put aside that are kept, at least 1; the oldest goes first
	Compress bool     // files put aside are compressed with gzip
}

// Admin is the listener of metrics, status and commands.
type Admin struct {
	Network string // for net.Listen: tcp4, tcp6 or tcp
	Address string // for net.Listen; empty when off

	Places Places
}

// Server is a set of host names and what answers for them, nginx's server block.
type Server struct {
	Listen        []Listen
	DefaultServer bool     // answers for host names that no server of its listeners has
	Names         []string // lower case: exact, *.x or x.*; the empty name is a request without Host
	Locations     []Location
	Client        Client
	TLS           ServerTLS

	Places Places
}

// Listen is an address on which a server listens.
type Listen struct {
	Address string // for net.Listen, such as 0.0.0.0:8080; Config.Listeners has its network
	TLS     bool   // its clients speak TLS
}

// Client is how long and how often a client may use a connection.
type Client struct {
	HeaderTimeout     Duration // for the whole head of a request (client_header_timeout)
	BodyTimeout       Duration // between two reads of a body (client_body_timeout)
	SendTimeout       Duration // between two writes (client_send_timeout, nginx's send_timeout)
	KeepaliveTimeout  Duration // an idle connection is closed then; 0 closes after each request
	KeepaliveRequests int      // a connection is closed after so many requests
}

// Location is a path rule and its handler, nginx's location block.
type Location struct {
	Path     string // begins with a slash, or with "@": a named location
	Exact    bool   // the whole path must be equal ("= /x"); else Path is a prefix
	Internal bool   // reached from other locations only; a named one always is
	Pass     string // name of an upstream in Config.Upstreams
	Lane     Lane   // how urgent its requests are when they wait for a slot
	Settings Settings

	Places Places
}

// Settings are the values that a location takes from itself, its upstream, its server, the top level or the defaults.
type Settings struct {
	Buffering Buffering // of responses
	Request   Request
	Response  Response
	Retry     Retry
	Script    Script

	ConnectTimeout Duration
	SendTimeout    Duration // between two writes to the peer
	ReadTimeout    Duration // between two reads from the peer
	Deadline       Duration // for the head of the response, waits and attempts together; 0 is no limit

	Upgrade        bool     // a client that asks for another protocol gets it when the peer agrees; HTTP only
	UpgradeTimeout Duration // between two transfers, in whichever direction, after that

	EarlyHints bool // a peer's 103 goes to clients of HTTP/1.1

	SetHeader         []TemplateField // header fields for the peer; an empty value removes the field
	IgnoreClientAbort bool            // the peer finishes although the client is gone

	Places Places

	refused bool // a value could not be read: relations between the values say nothing
}

// Buffering holds a response between a fast peer and a slow client; the meaning of each value is nginx's.
type Buffering struct {
	On                bool // else a response goes to the client as it comes, and a slow client holds its peer
	BufferSize        Size // for the head of the response and the first bytes of its body
	Buffers           Buffers
	BusyBuffersSize   Size // bound for what is on its way to the client
	MaxTempFileSize   Size // bound for the spill file of one response; 0 never spills
	TempFileWriteSize Size // bound for one write to the spill file
}

// Buffers is nginx's pair of a number and a size: the buffers of a body, allocated when they are needed.
type Buffers struct {
	Number int
	Size   Size
}

// Request is what is done with the body of a request.
type Request struct {
	Buffering  bool // it is read whole before a peer is chosen (request_buffering)
	MaxSize    Size // a larger one is refused with 413; 0 is no limit (client_max_body_size)
	BufferSize Size // a larger one goes to a spill file (client_body_buffer_size)
}

// Retry says when another peer is asked.
type Retry struct {
	On      []string // nginx's words of next_upstream, each once; empty when off
	Tries   int      // attempts in all; 0 is as many as there are peers (next_upstream_tries)
	Timeout Duration // no further attempt after this; 0 is no limit (next_upstream_timeout)
}

// Script is what a CGI-like protocol says about the program that is asked.
type Script struct {
	Params        []TemplateField // variables
	Root          string          // absolute base of SCRIPT_FILENAME; empty when there is none
	Index         string          // appended to a path that ends with a slash (fastcgi_index); empty when there is none
	SplitPathInfo string          // regular expression with two groups, script name and path info; empty for no split
	Modifier1     int             // what a packet of uwsgi is for, 0 to 255 (uwsgi_modifier1, uwsgi_modifier2)
	Modifier2     int
}

// Field is one header field, CGI variable or environment variable, in the order of the file.
type Field struct {
	Name, Value string
}

// Derive fills the values whose default follows from others.
func (s *Settings) Derive() {
	s.Buffering.Derive()
	if s.UpgradeTimeout == 0 {
		s.UpgradeTimeout = s.ReadTimeout
	}
}

// Derive fills the sizes whose default follows from others. By nginx's rule they are twice the larger of the two buffer sizes; here
// half of the buffers, if that is more and up to 64k: bodies go through a pipe in pieces of this size.
func (b *Buffering) Derive() {
	piece := max(2*b.largest(), min(Size(b.Buffers.Number/2)*b.Buffers.Size, 64*KiB))
	if b.BusyBuffersSize == 0 {
		b.BusyBuffersSize = piece
	}
	if b.TempFileWriteSize == 0 {
		b.TempFileWriteSize = piece
	}
}

// largest returns the size of the largest single buffer.
func (b *Buffering) largest() Size { return max(b.BufferSize, b.Buffers.Size) }
