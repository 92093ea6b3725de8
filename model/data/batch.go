package data

import (
	"encoding/binary"
	"fmt"

	"kadanoff/spin"
)

// Batch fills dst with the rows whose numbers are given: chain k of dst becomes
// row rows[k], in any order and as often as wanted. dst has Width units and a
// chain for each number. Rows in memory are read without allocation.
func (s *Set) Batch(dst *spin.Batch, rows []int) error {
	if dst.Units != s.width || dst.Chains != len(rows) {
		return fmt.Errorf("%s: %d rows of %d units into a batch of %d chains of %d", s.Name, len(rows), s.width, dst.Chains, dst.Units)
	}
	var invert uint64
	if s.invert {
		invert = ^uint64(0)
	}
	var raw [64][]byte
	var block [64]uint64
	for w := range dst.Words {
		n := min(64, len(rows)-64*w)
		for k, row := range rows[64*w:][:n] {
			var err error
			if raw[k], err = s.store.read(row, 1); err != nil {
				return fmt.Errorf("%s: %w", s.Name, err)
			}
		}
		for j := range s.Stride() {
			clear(block[n:])
			for k, b := range raw[:n] {
				block[k] = binary.LittleEndian.Uint64(b[8*j:]) ^ invert
			}
			transpose(&block)
			units := min(64, s.width-64*j)
			for u, x := range block[:units] {
				dst.Bits[(64*j+u)*dst.Words+w] = x
			}
		}
	}
	return nil
}

// Batch draws the rows whose numbers are given into dst: unit u of chain k
// becomes +1 when draw(k, u) < 2³²·p of row rows[k]. dst has Width units and a
// chain for each number. draw is called once for each, units of a chain in
// order, chain after chain.
func (p *Probabilities) Batch(dst *spin.Batch, rows []int, draw func(k, u int) uint32) error {
	if dst.Units != p.width || dst.Chains != len(rows) {
		return fmt.Errorf("%s: %d rows of %d units into a batch of %d chains of %d", p.Name, len(rows), p.width, dst.Chains, dst.Units)
	}
	for k, row := range rows {
		raw, err := p.store.read(row, 1)
		if err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
		for u := range p.width {
			dst.Set(u, k, p.up(raw, u, draw(k, u)))
		}
	}
	return nil
}

// transpose exchanges rows and columns of a 64×64 bit matrix: bit k of word u
// becomes bit u of word k. Blocks of 32, 16, … 1 are exchanged in turn.
//
// Reference: H. S. Warren, Hacker's Delight, 2nd edition, section 7-3.
func transpose(m *[64]uint64) {
	mask := uint64(1)<<32 - 1
	for j := 32; j > 0; j >>= 1 {
		for k := 0; k < 64; k = (k + j + 1) &^ j {
			t := (m[k]>>j ^ m[k+j]) & mask
			m[k] ^= t << j
			m[k+j] ^= t
		}
		mask ^= mask << (j >> 1)
	}
}
