package backend

import "testing"

// Tiles cover every site of a lattice once, and the words hold them.
func TestLatticeTiles(t *testing.T) {
	sides := []int{2, 4, 6, 8, 10, 14, 16, 22, 30, 32, 34, 62, 64, 66, 100, 126, 202, 256, 510, 514, 1000, 1024, 2018, 4096, 8192}
	for _, w := range sides {
		for _, h := range sides {
			for _, replicas := range []int{1, 7, 100, 512, 10000} {
				g := LatticeTiles(w, h, replicas)
				if g.TilesX*g.TilesY*g.Replicas != 512 || g.TilesX > 32 {
					t.Fatalf("%dx%d: %+v does not fill a word", w, h, g)
				}
				for _, axis := range []struct {
					side, tiles, length, narrow int
					origin, size                func(int) int
				}{
					{w, g.TilesX, g.Width, g.NarrowX, g.OriginX, g.TileWidth},
					{h, g.TilesY, g.Height, g.NarrowY, g.OriginY, g.TileHeight},
				} {
					at := 0
					for i := range axis.tiles {
						n := axis.size(i)
						if axis.origin(i) != at || n < 2 || n%2 != 0 || n > axis.length {
							t.Fatalf("%dx%d: %+v: tile %d begins at %d and is %d long", w, h, g, i, axis.origin(i), n)
						}
						at += n
					}
					if at != axis.side {
						t.Fatalf("%dx%d: %+v covers %d of %d", w, h, g, at, axis.side)
					}
				}
				if g.Blocks < 1 || g.Blocks > 1 && g.Height/g.Blocks < 4 {
					t.Fatalf("%dx%d: %+v: blocks of less than four rows", w, h, g)
				}
			}
		}
	}
}

// The geometry is part of the stream's definition: it may not change.
func TestLatticeTilesArePinned(t *testing.T) {
	for _, c := range []struct {
		w, h, replicas int
		want           LatticeGeometry
	}{
		{8, 8, 1, LatticeGeometry{4, 4, 2, 2, 0, 0, 32, 1}},
		{8, 8, 512, LatticeGeometry{1, 1, 8, 8, 0, 0, 512, 1}},
		{32, 32, 4096, LatticeGeometry{1, 1, 32, 32, 0, 0, 512, 4}},
		{64, 64, 1, LatticeGeometry{16, 32, 4, 2, 0, 0, 1, 1}},
		{64, 64, 100, LatticeGeometry{4, 8, 16, 8, 0, 0, 16, 1}},
		{1024, 1024, 1, LatticeGeometry{16, 32, 64, 32, 0, 0, 1, 8}},
		{1022, 1018, 1, LatticeGeometry{16, 32, 64, 32, 1, 3, 1, 8}},
		{4096, 4096, 1, LatticeGeometry{16, 32, 256, 128, 0, 0, 1, 32}},
	} {
		if got := LatticeTiles(c.w, c.h, c.replicas); got != c.want {
			t.Errorf("{%d, %d, %d, LatticeGeometry%v},", c.w, c.h, c.replicas, got)
		}
	}
}
