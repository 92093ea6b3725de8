// Package spin holds what every backend agrees on: packed batches of ±1
// configurations, networks in fixed point, and the integer rule that turns a
// field and a random draw into a spin. It defines the numbers; it does not
// hurry.
package spin
