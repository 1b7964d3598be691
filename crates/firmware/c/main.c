/* Trains on a board from C: four noisy patterns, then save, load, and the share of right answers. */
#include "bantam.h"

static uint8_t arena[16384] __attribute__((aligned(64)));
static uint8_t saved[12288];
static bantam_session session;

/* Start-up and output are the firmware's; a project of yours has its own. */
void program(void);
static void request(uint32_t operation, const void *argument) {
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}
static void leave(uint32_t code) {
    uint32_t block[2] = {0x20026, code};
    for (;;) request(0x20, block);
}

static uint32_t seed = 1;
static float uniform(void) { /* in [0, 1): the generator of Numerical Recipes */
    seed = seed * 1664525u + 1013904223u;
    return (float)(seed >> 8) / 16777216.0f;
}

static uint32_t sample(float *x) {
    uint32_t class = (uint32_t)(uniform() * 4.0f);
    for (uint32_t i = 0; i < 16; i++) x[i] = ((i & 3) == class ? 1.0f : 0.0f) + uniform() - 0.5f;
    return class;
}

void program(void) {
    size_t features, labels, scores;
    float loss = 0.0f, first = 0.0f;
    if (bantam_init(&session, arena, 100, 7) != BANTAM_TOO_SMALL) leave(1);
    if (bantam_init(&session, arena + 1, sizeof arena - 1, 7) != BANTAM_MISALIGNED) leave(2);
    if (bantam_init(&session, arena, sizeof arena, 7) != 0) leave(3);
    for (uint32_t step = 0; step < 200; step++) {
        float *x = bantam_features(&session, &features);
        uint32_t *y = bantam_labels(&session, &labels);
        for (size_t i = 0; i < labels; i++) y[i] = sample(x + 16 * i);
        if (bantam_step(&session, 0.01f, &loss) != 0) leave(4);
        if (step == 0) first = loss;
    }
    if (!(loss < first / 4)) leave(5);
    /* A session that was saved and loaded knows what it has learned. */
    if (bantam_state_bytes(&session) > sizeof saved) leave(6);
    if (bantam_save(&session, saved, sizeof saved) != 0) leave(7);
    if (bantam_init(&session, arena, sizeof arena, 7) != 0) leave(8);
    if (bantam_load(&session, saved, sizeof saved) != 0) leave(9);
    uint32_t right = 0, tested = 0;
    for (uint32_t batch = 0; batch < 25; batch++) {
        uint32_t class[4];
        float *x = bantam_features(&session, &features);
        for (uint32_t i = 0; i < 4; i++) class[i] = sample(x + 16 * i);
        const float *score = bantam_predict(&session, &scores);
        for (uint32_t i = 0; i < 4; i++, tested++) {
            uint32_t best = 0;
            for (uint32_t k = 1; k < 4; k++)
                if (score[4 * i + k] > score[4 * i + best]) best = k;
            right += best == class[i];
        }
    }
    if (right * 10 < tested * 9) leave(10);
    /* Predictions may come between steps: the next one trains on what is written then. */
    float *x = bantam_features(&session, &features);
    uint32_t *y = bantam_labels(&session, &labels);
    if (features != 64 || labels != 4) leave(11);
    for (size_t i = 0; i < labels; i++) y[i] = sample(x + 16 * i);
    if (bantam_step(&session, 0.01f, &loss) != 0 || !(loss < first / 2)) leave(12);
    request(0x04, "trained from C\n");
    leave(0);
}
