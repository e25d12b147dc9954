package downstream_test

// hasLoops: files are read.
const hasLoops = false

// knowsWhenItWaits: a client that keeps up is known to.
const knowsWhenItWaits = true
