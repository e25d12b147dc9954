# A site behind SCGI with the pages that the end-to-end tests ask for: `perl site.pl PORT`.
use strict;
use warnings;
use Digest::SHA;
use IO::Socket::INET;
use SCGI;

$SIG{PIPE} = 'IGNORE';
my $socket = IO::Socket::INET->new(Listen => 128, ReuseAddr => 1, LocalAddr => '127.0.0.1', LocalPort => $ARGV[0])
    or die "listen: $!";
my $scgi = SCGI->new($socket, blocking => 1);
my %pages = ('/hello' => \&hello, '/echo' => \&echo, '/big' => \&big);

while (my $request = $scgi->accept) {
    eval { $request->read_env; 1 } or next; # somebody who only looks whether the port is open
    my ($env, $client) = ($request->env, $request->connection);
    my $page = $pages{$env->{PATH_INFO}};
    print $client $page ? '' : "Status: 404 Not Found\r\n", "Content-Type: text/plain\r\nX-Pid: $$\r\n\r\n";
    $page->($env, $client) if $page;
    $request->close;
}

sub hello {
    my ($env, $client) = @_;
    print $client "hello from perl\n";
}

# What arrived of the request's body: its length and its SHA-1.
sub echo {
    my ($env, $client) = @_;
    my ($hash, $length, $left) = (Digest::SHA->new(1), 0, $env->{CONTENT_LENGTH});
    while ($left > 0 && (my $n = read $client, my $block, $left < 65536 ? $left : 65536)) {
        $hash->add($block);
        $length += $n;
        $left -= $n;
    }
    print $client "$length ", $hash->hexdigest, "\n";
}

# mb megabytes that the test computes too: lines of 64 bytes that count up.
sub big {
    my ($env, $client) = @_;
    my ($mb) = $env->{QUERY_STRING} =~ /mb=(\d+)/;
    printf $client "%063d\n", $_ for 0 .. ($mb << 14) - 1;
}
