// Times MPI_Allreduce of int64 in place from C, beside commtest: the library is
// Open MPI's, which is declared here so that no header is needed.
//
//	gcc -O2 -o allreduce allreduce.c -l:libmpi.so.40
//	mpirun --bind-to none -n 2 ./allreduce 400000 200
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

extern char ompi_mpi_comm_world, ompi_mpi_int64_t, ompi_mpi_op_sum;
int MPI_Init(int *, char ***);
int MPI_Finalize(void);
int MPI_Comm_rank(void *, int *);
int MPI_Barrier(void *);
int MPI_Allreduce(const void *, void *, int, void *, void *, void *);
double MPI_Wtime(void);

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 400000, repeats = argc > 2 ? atoi(argv[2]) : 200, rank;
	int64_t *x = malloc(n * sizeof *x);
	double best = 1e9;

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(&ompi_mpi_comm_world, &rank);
	for (int k = 0; k < repeats; k++) {
		for (int i = 0; i < n; i++)
			x[i] = (int64_t)i * (rank + 1) - k;
		MPI_Barrier(&ompi_mpi_comm_world);
		double t = MPI_Wtime();
		MPI_Allreduce((void *)1, x, n, &ompi_mpi_int64_t, &ompi_mpi_op_sum, &ompi_mpi_comm_world);
		t = MPI_Wtime() - t;
		if (t < best)
			best = t;
	}
	if (rank == 0)
		printf("C: sum of %d int64 in %.3f ms\n", n, best * 1e3);
	return MPI_Finalize();
}
