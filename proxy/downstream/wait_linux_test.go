package downstream_test

// hasLoops: what a client gets from a file does not pass through memory of ours.
const hasLoops = true

// knowsWhenItWaits: a client that keeps up is known to.
const knowsWhenItWaits = true
