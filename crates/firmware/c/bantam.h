/* Train the 16-32-4 network on a board, from C.
 *
 * Link with libc_library.a, which is built with
 *   cargo build --profile firmware -p bantam-firmware --example c_library --target thumbv7em-none-eabihf
 * There is no allocator: everything lies in the session and in the arena that you lend. Functions that return an int32_t
 * return 0, or one of the errors below: each says which. main.c beside this file is a whole program. */
#ifndef BANTAM_H
#define BANTAM_H
#include <stddef.h>
#include <stdint.h>

#define BANTAM_TOO_SMALL (-1)     /* the memory is too small */
#define BANTAM_MISALIGNED (-2)    /* the arena does not begin at a multiple of 8 */
#define BANTAM_OTHER_WEIGHTS (-3) /* weights or state of another network */
#define BANTAM_NOT_FINITE (-4)    /* the loss is no number; no parameter has changed */

/* Yours to place, static for instance; bantam_init fills it, and everything else wants it filled. */
typedef struct bantam_session { uint64_t opaque[16]; } bantam_session;

/* How many bytes of arena bantam_init needs. */
size_t bantam_arena_bytes(void);
/* Binds the network to the arena of `len` bytes, and draws the first weights: the same for the same seed. Both belong to
 * the session until it is used for the last time. BANTAM_TOO_SMALL, BANTAM_MISALIGNED. */
int32_t bantam_init(bantam_session *session, uint8_t *arena, size_t len, uint64_t seed);
/* Where a batch goes: 4 samples of 16 features, one after the other, and a label from 0 to 3 for each. `len` becomes
 * their number, if it is not NULL. Steps and predictions may write over a batch: write it anew before each. */
float *bantam_features(bantam_session *session, size_t *len);
uint32_t *bantam_labels(bantam_session *session, size_t *len);
/* Trains on the batch that was written: forward, backward, and an update by Adam with this rate. `loss` becomes the
 * mean over the batch, before the update. BANTAM_NOT_FINITE. */
int32_t bantam_step(bantam_session *session, float rate, float *loss);
/* The scores of the features that were written, 4 classes for each sample, until the next call; the greatest is the
 * prediction. Labels are not needed. `len` becomes their number, if it is not NULL. NULL if the network does not fit. */
const float *bantam_predict(bantam_session *session, size_t *len);
/* How many bytes bantam_save writes. */
size_t bantam_state_bytes(bantam_session *session);
/* Writes everything that training goes on from: weights, the optimizer's state, how many steps it took.
 * BANTAM_TOO_SMALL, and nothing is written. */
int32_t bantam_save(bantam_session *session, uint8_t *out, size_t len);
/* Goes on from there, in any session that bantam_init has made. BANTAM_TOO_SMALL if bytes are missing,
 * BANTAM_OTHER_WEIGHTS if another network was saved; the session stays as it was then. */
int32_t bantam_load(bantam_session *session, const uint8_t *from, size_t len);
#endif
