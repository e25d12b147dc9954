package downstream_test

// mayMiss is how many may connect too late to be accepted and too early to be refused: nobody, see admitNobody.
const mayMiss = 0
