package supervisor_test

const knowsPeak = true
