// Package train fits restricted Boltzmann machines to data and tells how well
// they fit: algorithms, schedules and optimisers, checkpoints that continue bit
// for bit, and estimates of the likelihood from both ends.
//
// All work is jobs of a backend; a step of training is one job. The same
// configuration, data and seed give the same weights on every backend, however
// often a run was interrupted.
package train
