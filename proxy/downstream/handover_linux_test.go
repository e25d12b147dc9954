package downstream_test

import "os"

// mayMiss is how many may connect too late to be accepted and too early to be refused: nobody, see admitNobody.
func mayMiss() int64 {
	if os.Geteuid() == 0 {
		return 0
	}
	return 64 // the system may not let this account see to it
}
