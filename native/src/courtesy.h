// Threads that compute, beside one that all others wait for. The scheduler lets a thread that has become ready wait for
// milliseconds while another computes: in a mount the JavaScript thread, or the program that reads, waited 4 ms behind what
// was unsealed ahead of it: `grep -r` of 79,000 files took 4.1 s instead of 3.7, their first backup 8.7 instead of 8.1 (medians,
// two processors, Linux 6.18).
//
// Only the order changes, not the share of the processors that a thread gets: a low priority would leave nothing where other
// programs compute too, and the reader waits for what is unsealed.
#pragma once

namespace yore {

// The calling thread asks for long slices of time from now on, so that those with ordinary ones go first. Linux 6.12 and
// later; others take no notice.
void AskForLongSlices();

// Between two tasks: whoever is ready goes first.
void LetOthersGoFirst();

}  // namespace yore
