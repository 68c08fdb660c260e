/*
 * Eigenvalues and eigenvectors of a symmetric matrix, by Jacobi's rotations.
 *
 * Units    entries of about 1: rotations stop when what is off the diagonal is below 1e-14 each
 * Threads  any
 * Source   Golub, Van Loan, Matrix Computations, 8.5 (cyclic Jacobi)
 */
#pragma once

#include <stdint.h>

/* k × k by rows: a becomes diagonal, the columns of v its eigenvectors. */
void eigen_symmetric(double *a, double *v, uint32_t k);
