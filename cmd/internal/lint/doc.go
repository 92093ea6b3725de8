// Package lint holds tests of the source tree itself: which package may import
// which, and what the text of the project may say.
package lint
