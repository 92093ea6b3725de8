package roots
import ("testing";"math";"math/rand";"kadanoff/kernels/isa";"time")
func TestVecX(t *testing.T){
 for _,mn:=range [][2]int{{8,4},{2,5},{3,7},{9,100},{16,4},{64,16},{256,1},{31,1000}} {
 s:=NewSize(mn[0],mn[1]);tb:=NewTable(s)
 n:=1<<14+5
 if mn[0]>100 {n=1001}
 k:=make([]float64,n); rng:=rand.New(rand.NewSource(1))
 for i:=range k {k[i]=math.Exp(math.Log(1e-3)+rng.Float64()*math.Log(1e4))}
 w:=make([]float64,n);w2:=make([]float64,n)
 p:=Distributions{Count:n,Weight:make([]float64,n*s.Values())}
 wk:=tb.workers.Get().(*worker)
 for i,K:=range k { tb.ring.at(K,wk.q); sc,_:=wk.q.scale.neg().expm1();p.Weight[i]=2; for j:=1;j<=s.h;j++{x:=wk.q.low[j].mul(sc);p.Weight[j*n+i]=x.hi}}
 s.Solve(For(isa.Generic),w,p)
 for _,l:=range isa.Available() {
 best:=1e9
 for range 5 {t0:=time.Now();s.Solve(For(l),w2,p);best=min(best,time.Since(t0).Seconds())}
 bad:=0
 for i:=range w {if w[i]!=w2[i] {bad++; if bad<3{t.Log(i,k[i],w[i],w2[i])}}}
 t.Logf("%v %v bad %d, %.3g/s",mn,l,bad,float64(n)/best)
 if bad>0{t.Fail()}
 }}
}
