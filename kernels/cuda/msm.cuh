// Multi-scalar multiplication by Pippenger's method, for many columns of scalars at once. The kernels, in their order:
//
//   msm_digits    msm_count, msm_totals   how many digits each window of each column has: the host lays out memory by it
//                 msm_starts, msm_place   digits to entries, sorted by the upper bits of their buckets' numbers
//   msm_buckets   msm_count_buckets       how many entries each bucket has
//   msm_scan      msm_counted_buckets_.., msm_bucket_sizes_..   where each bucket's entries and chunks begin
//   msm_buckets   msm_place_buckets       entries sorted by bucket
//   msm_sums      msm_chunks, msm_lengths, msm_order   buckets to chunks, in the order of their lengths
//                 msm_accumulate          sums of chunks
//   msm_weigh     msm_weigh               weighted sums of the chunks of a job
//   msm_join      msm_join, msm_deposit   sums of jobs
//                 msm_combine             sums of columns
//   msm_table     msm_double, msm_normalize   multiples of points, before all others
//
// Of few points, whose table has all multiples that digits may ask for:
//
//   msm_direct    msm_multiples           the table, window by window, before all others
//                 msm_direct              sums of blocks, which msm_join adds up
//
// A job is one set of buckets of one column. Nothing depends on the order of entries within a bucket, because sums of
// points are exact in every order.
