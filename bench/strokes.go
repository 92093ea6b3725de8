package bench

import (
	"fmt"

	"kadanoff/spin/philox"
)

// strokes is a train.Source of synthetic handwriting: black-and-white images of
// 28×28 pixels in ten classes, each a shape of a few pen strokes whose points,
// slant, width and pen vary from row to row, brought to a height or width of 20
// pixels with the centre of mass in the middle. That is how MNIST's digits are
// made up, and its pixels above 127 have the same statistics: how many are up,
// how many are down in all rows of a batch, how long runs of them are
// (TestStrokes). Row i is the same on every machine, in any order.
type strokes int

// The sizes of an image, in pixels, and of a pixel, in the units of points.
const (
	strokeSide  = 28
	strokeBox   = 20
	strokePixel = 256
	// Points of a curve that the pen touches.
	strokeSteps = 32
	// Numbers that a row may draw.
	strokeNumbers = 64
)

// point is a place in pixels·strokePixel; in shapes, in hundredths of the height.
type point struct{ x, y int }

// pens are the shapes of the classes. Each list is one stroke of quadratic Bézier
// curves: an end point, then a control point and an end point for each curve. A
// stroke that ends where it began is closed.
var pens = [10][][]point{
	{{{50, 0}, {12, 0}, {12, 50}, {12, 100}, {50, 100}, {88, 100}, {88, 50}, {88, 0}, {50, 0}}},
	{{{55, 0}, {50, 50}, {45, 100}}},
	{{{15, 20}, {50, -20}, {80, 20}, {85, 50}, {15, 100}, {50, 90}, {90, 95}}},
	{{{15, 8}, {80, -10}, {75, 25}, {70, 45}, {40, 47}, {90, 50}, {82, 80}, {70, 110}, {10, 92}}},
	{{{20, 0}, {10, 30}, {15, 55}, {50, 60}, {85, 50}}, {{75, 5}, {72, 50}, {65, 100}}},
	{{{85, 2}, {50, 0}, {25, 5}, {20, 20}, {20, 42}, {90, 30}, {80, 70}, {70, 105}, {10, 92}}},
	{{{65, 0}, {20, 25}, {18, 65}, {20, 100}, {50, 100}, {85, 95}, {80, 70}, {70, 45}, {20, 65}}},
	{{{12, 8}, {50, 10}, {85, 5}, {60, 50}, {40, 100}}},
	{{{80, 10}, {50, -10}, {25, 15}, {10, 35}, {50, 50}, {95, 70}, {70, 92}, {40, 110}, {20, 85}, {10, 65}, {50, 48}, {85, 30}, {80, 10}}},
	{{{80, 20}, {60, -10}, {25, 15}, {10, 50}, {45, 50}, {80, 45}, {80, 15}, {80, 60}, {60, 100}}},
}

// Rows, Width and Stride implement train.Source.
func (n strokes) Rows() int   { return int(n) }
func (n strokes) Width() int  { return strokeSide * strokeSide }
func (n strokes) Stride() int { return (strokeSide*strokeSide + 63) / 64 }

// Fill implements train.Source.
func (n strokes) Fill(dst []uint64, i int, _ uint64) error {
	if i < 0 || i >= int(n) {
		return fmt.Errorf("row %d of %d", i, int(n))
	}
	r := &numbers{key: philox.NewKey(52), n: uint32(i) * strokeNumbers}
	// around returns a number within ±width, more often near the middle.
	around := func(width int) int {
		return int(int64(r.next()>>16+r.next()>>16)*int64(width)>>16) - width
	}
	const height = strokeBox * strokePixel
	slant, narrow, radius := around(140)+30, 235+around(100), 322+around(150)
	var track []point
	for _, pen := range pens[i%len(pens)] {
		path := make([]point, len(pen))
		for k, p := range pen {
			x := p.x*height/100 + around(height/6)
			y := p.y*height/100 + around(height/6)
			path[k] = point{x*narrow/256 - y*slant/256, y}
		}
		if last := len(pen) - 1; pen[0] == pen[last] {
			path[last] = path[0]
		}
		for k := 0; k+2 < len(path); k += 2 {
			a, b, c := path[k], path[k+1], path[k+2]
			for t := range strokeSteps {
				s := strokeSteps - t
				track = append(track, point{
					(s*s*a.x + 2*s*t*b.x + t*t*c.x) / (strokeSteps * strokeSteps),
					(s*s*a.y + 2*s*t*b.y + t*t*c.y) / (strokeSteps * strokeSteps),
				})
			}
		}
		track = append(track, path[len(path)-1])
	}
	least, most, sum := track[0], track[0], point{}
	for _, p := range track {
		least, most = point{min(least.x, p.x), min(least.y, p.y)}, point{max(most.x, p.x), max(most.y, p.y)}
		sum.x, sum.y = sum.x+p.x, sum.y+p.y
	}
	size := max(most.x-least.x, most.y-least.y)
	clear(dst)
	for _, p := range track {
		fit := func(x, sum int) int {
			return (x-sum/len(track))*(height-2*radius)/size + strokeSide/2*strokePixel
		}
		touch(dst, point{fit(p.x, sum.x), fit(p.y, sum.y)}, radius)
	}
	return nil
}

// touch lights the pixels whose middles are within radius of a point.
func touch(row []uint64, p point, radius int) {
	from := func(x int) int { return max(0, (x-radius)/strokePixel) }
	to := func(x int) int { return min(strokeSide-1, (x+radius)/strokePixel) }
	for y := from(p.y); y <= to(p.y); y++ {
		for x := from(p.x); x <= to(p.x); x++ {
			dx, dy := x*strokePixel+strokePixel/2-p.x, y*strokePixel+strokePixel/2-p.y
			if u := y*strokeSide + x; dx*dx+dy*dy <= radius*radius {
				row[u/64] |= 1 << (u % 64)
			}
		}
	}
}
