// Package peers are the cheap applications behind a proxy under test. They read requests without a body and look no
// further than at their ends; what they answer is the caller's.
package peers
