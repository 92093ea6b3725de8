package report_test

import (
	"bytes"
	"fmt"

	"kadanoff/report"
)

// A page is one file that opens without a network.
func ExamplePage_HTML() {
	p := report.Page{Title: "Rates", Sections: []report.Section{{
		Title:  "By threads",
		Tables: []report.Table{{Columns: []string{"threads", "rate"}, Rows: [][]string{{"1", "1.9e11"}}}},
	}}}
	html, err := p.HTML()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(bytes.Contains(html, []byte("1.9e11")), bytes.Contains(html, []byte("<script src")))
	// Output:
	// true false
}
