// Command gibbs writes the assembly of package kernels/gibbs.
package main

import (
	"strings"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("amd64,!noasm")
	expand5()
	tables5()
	for _, vectors := range []int{4, 3, 2} {
		sums5(vectors)
	}
	for _, v := range [][2]int{{2, 0}, {3, 0}, {4, 0}, {4, 2}, {4, 3}, {4, 4}} {
		sums16(v[0], v[1])
	}
	philox512()
	for _, v := range []string{"Shift", "One", "Each"} {
		accept512(v)
	}
	mix512()
	store512()
	transpose512()
	list512()
	pack512()
	packBoth512()
	packTransposed512()
	columnSums512()
	counts512()
	fewLists()
	fewTables()
	fewSums()
	fewOrder()
	fewMeans()
	fewPack()
	expand6()
	tables6()
	sums6()
	philox256()
	accept256()
	rows256()
	mix256()
	list256()
	transpose16()
	means256()
	pack8()
	counts256()
	probes()
	Generate()
}

var (
	z = []reg.VecPhysical{
		reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7,
		reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
		reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23,
		reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
	}
	kr = []reg.OpmaskPhysical{reg.K0, reg.K1, reg.K2, reg.K3, reg.K4, reg.K5, reg.K6, reg.K7}
)

func text(name, signature, doc string) {
	TEXT(name, NOSPLIT, signature)
	Doc(strings.Split(doc, "\n")...)
	Pragma("noescape")
}

func arg(name string) reg.GPVirtual { return Load(Param(name), GP64()).(reg.GPVirtual) }

func at(base reg.Register, disp int) Mem { return Mem{Base: base, Disp: disp} }

// mask puts a constant into an opmask register.
func mask(v uint64, k reg.OpmaskPhysical) {
	g := GP64()
	MOVQ(U64(v), g)
	KMOVQ(g, k)
}

func end() {
	VZEROUPPER()
	RET()
}
