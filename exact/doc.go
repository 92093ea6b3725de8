// Package exact holds the values that everything else is checked against:
// rings, tori and the infinite square lattice of Ising spins, uniform and
// small restricted Boltzmann machines, and the roots W(K), each from a closed
// form, an exact count or an enumeration. It shares no code with kernels,
// backends or models.
//
// All spins are ±1, J = k_B = 1, K = 1/T, V = Σ v_i and H = Σ h_a. Energies are
// E = −Σ s_i s_j over bonds. Periodic lattices of side 2 have each bond twice.
//
// What is computed with big floats is returned rounded to float64, so it is
// right to the last digit or nearly so; what is computed in float64 says how
// far it may be off.
package exact
