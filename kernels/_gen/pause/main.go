// Command pause generates the amd64 path of package kernels/pause.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

func main() {
	ConstraintExpr("amd64,!noasm")
	TEXT("pause", NOSPLIT, "func(n uint32)")
	Doc("pause executes PAUSE n times, n > 0.")
	n := Load(Param("n"), GP32())
	Label("again")
	PAUSE()
	DECL(n)
	JNZ(LabelRef("again"))
	RET()
	Generate()
}
