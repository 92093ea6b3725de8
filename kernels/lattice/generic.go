package lattice

import (
	"math/bits"

	"kadanoff/kernels/isa"
)

var generic = Kernel{
	Level:  isa.Generic,
	Lanes:  1,
	update: [2]func(*Update) int{Metropolis: func(u *Update) int { return u.generic(false) }, HeatBath: func(u *Update) int { return u.generic(true) }},
	count:  countGeneric,
}

// generic is the update in plain Go, one 64-bit lane after the other: lanes
// share nothing.
func (u *Update) generic(heatBath bool) int {
	n, base, rem := groups(u.Words)
	entries := 0
	for lane := range Lanes {
		x := xoshiro{u.State[lane], u.State[Lanes+lane], u.State[2*Lanes+lane], u.State[3*Lanes+lane]}
		planes := u.Planes[lane:]
		side := sideOffset(u.Right)
		for row := range u.Rows {
			at, word := u.Start+row*u.Stride+lane, 0
			for g := range n {
				size := base
				if g < rem {
					size++
				}
				var anyOpen, anySel, again uint64
				var first, second [GroupWords]uint64
				for q := range size {
					i := at + q*Lanes
					mask := u.Mask[(word+q)*Lanes+lane]
					s := u.Spins[i]
					a, b := u.Other[i-u.Stride]^s, u.Other[i+u.Stride]^s
					c, d := u.Other[i]^s, u.Other[i+side]^s
					sum, carry := add3(a, b, c)
					var sel, sure, two uint64
					if heatBath {
						sel, two = sum^d, (sum^carry)&^(sum^d)
						sure = carry & (sum | d)
					} else {
						sel, sure = sum|d, carry|sum&d
					}
					open := mask &^ (sure | two)
					if heatBath {
						open = mask &^ two
					}
					var less, r uint64
					for k := range OwnPlanes {
						r = x.next()
						p := planes[2*k*Lanes] ^ sel&planes[(2*k+1)*Lanes]
						e := p ^ r
						open &^= e
						less ^= e & (p ^ less)
					}
					if heatBath {
						less = (less^sure)&^two | two&^r
					} else {
						less |= sure
					}
					u.Spins[i] = s ^ less&mask
					first[q], second[q] = open&^anyOpen, open&anyOpen
					again |= second[q]
					anyOpen |= open
					anySel |= first[q] & sel
				}
				var less uint64
				for k := OwnPlanes; k < Planes; k++ {
					r := x.next()
					p := planes[2*k*Lanes] ^ anySel&planes[(2*k+1)*Lanes]
					e := p ^ r
					anyOpen &^= e
					less ^= e & (p ^ less)
				}
				for q := range size {
					u.Spins[at+q*Lanes] ^= first[q] & less
				}
				if again|anyOpen != 0 {
					for q := range size {
						i := uint64(at+q*Lanes) << 1
						for flag, l := range [2]uint64{first[q] & anyOpen, second[q]} {
							if l != 0 {
								u.Log[2*entries], u.Log[2*entries+1] = i|uint64(flag), l
								entries++
							}
						}
					}
				}
				at += size * Lanes
				word += size
			}
			side = -side
		}
		for i, v := range x {
			u.State[i*Lanes+lane] = v
		}
	}
	return entries
}

func sideOffset(right bool) int {
	if right {
		return Lanes
	}
	return -Lanes
}

// add3 adds three bits in each position.
func add3(a, b, c uint64) (sum, carry uint64) {
	t := a ^ b
	return t ^ c, a&b | t&c
}

// xoshiro is the state of one lane's xoshiro256++.
type xoshiro [4]uint64

// next returns the next output.
func (x *xoshiro) next() uint64 {
	r := bits.RotateLeft64(x[0]+x[3], 23) + x[0]
	t := x[1] << 17
	x[2] ^= x[0]
	x[3] ^= x[1]
	x[1] ^= x[2]
	x[0] ^= x[3]
	x[2] ^= t
	x[3] = bits.RotateLeft64(x[3], 45)
	return r
}

// countGeneric is the measurement in plain Go.
func countGeneric(c *Count) {
	side := sideOffset(c.Right)
	for row := range c.Rows {
		for j := range c.Words * Lanes {
			i := c.Start + row*c.Stride + j
			mask, s := c.Mask[j], c.Spins[i]
			s1, c1 := add3((s^c.Other[i-c.Stride])&mask, (s^c.Other[i+c.Stride])&mask, (s^c.Other[i])&mask)
			s1, d := s1^(s^c.Other[i+side])&mask, s1&(s^c.Other[i+side])&mask
			c1, c2 := c1^d, c1&d
			add(c.Total[j%Lanes:], s1, c1, c2)
			a, b := s&mask, c.Other[i]&mask
			add(c.Total[Depth*Lanes+j%Lanes:], a^b, a&b, 0)
		}
		side = -side
	}
}

// add adds one + 2·two + 4·four to a lane of a bit-sliced counter.
func add(total []uint64, one, two, four uint64) {
	var carry uint64
	for k, v := range [3]uint64{one, two, four} {
		total[k*Lanes], carry = add3(total[k*Lanes], v, carry)
	}
	for k := 3; carry != 0; k++ {
		total[k*Lanes], carry = total[k*Lanes]^carry, total[k*Lanes]&carry
	}
}
