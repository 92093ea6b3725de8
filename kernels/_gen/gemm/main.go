// Command gemm generates the AVX2 path of package gemm.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// A tile is rows × 2 vectors of vector bytes.
const (
	rows   = 6
	vector = 32
)

// tile generates package gemm's tile function: all sums stay in registers while
// k goes by. The product is rounded before it is added, as the definition says;
// multipliers and adders are different units.
func tile() {
	TEXT("tileAVX2", NOSPLIT, "func(c *float32, ldc int, a, b *float32, k int)")
	Doc(fmt.Sprintf("tileAVX2 adds the product of k columns of a, %d packed, and k rows of b, %d packed, to a tile of c.", rows, 2*vector/4))
	Pragma("noescape")
	c := Load(Param("c"), GP64())
	ldc := Load(Param("ldc"), GP64())
	a := Load(Param("a"), GP64())
	b := Load(Param("b"), GP64())
	k := Load(Param("k"), GP64())
	SHLQ(Imm(2), ldc)
	row := GP64()
	MOVQ(c, row)
	sums := make([][2]reg.VecVirtual, rows)
	for r := range sums {
		for v := range 2 {
			sums[r][v] = YMM()
			VMOVUPS(Mem{Base: row, Disp: v * vector}, sums[r][v])
		}
		if r < rows-1 {
			ADDQ(ldc, row)
		}
	}
	left, right, factor, product := YMM(), YMM(), YMM(), YMM()
	Label("loop")
	VMOVUPS(Mem{Base: b}, left)
	VMOVUPS(Mem{Base: b, Disp: vector}, right)
	for r := range sums {
		VBROADCASTSS(Mem{Base: a, Disp: 4 * r}, factor)
		VMULPS(left, factor, product)
		VMULPS(right, factor, factor)
		VADDPS(product, sums[r][0], sums[r][0])
		VADDPS(factor, sums[r][1], sums[r][1])
	}
	ADDQ(Imm(uint64(4*rows)), a)
	ADDQ(Imm(uint64(2*vector)), b)
	DECQ(k)
	JNZ(LabelRef("loop"))
	MOVQ(c, row)
	for r := range sums {
		for v := range 2 {
			VMOVUPS(sums[r][v], Mem{Base: row, Disp: v * vector})
		}
		if r < rows-1 {
			ADDQ(ldc, row)
		}
	}
	VZEROUPPER()
	RET()
}

func main() {
	ConstraintExpr("amd64,!noasm")
	tile()
	Generate()
}
