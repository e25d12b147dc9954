package downstream_test

// hasLoops: a client that keeps up is known to, and what it gets from a file does not pass through memory of ours.
const hasLoops = true
