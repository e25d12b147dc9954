package downstream_test

// knowsWhenItWaits: a client that keeps up is known to.
const knowsWhenItWaits = true
