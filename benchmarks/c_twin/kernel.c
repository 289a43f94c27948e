/* The feature kernel once more, in C: an oracle for the bits and a measure for the speed of market/kernel.py.
 *
 * Written apart from it on purpose: plain window sums that add and take away, one struct for all memory, scalars in
 * locals. Build: gcc -O3 -march=native -ffp-contract=off -shared -fPIC kernel.c -lm (a fused multiply-add would change
 * the last bits). What the columns mean: market/feature_spec.py.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { LEVELS = 10, TOP = 5, WIDTH = 45, COLUMNS = 59, RESET = 1, LADDER = 20 };
enum { T_NS, KIND, FLAGS, PRICE, SIGNED, BIDS = 5, ASKS = 15, BID_LOTS = 25, ASK_LOTS = 35 };

static const int64_t SECOND = 1000000000LL;
static const int64_t WARMUP = 120LL * 1000000000LL;

typedef struct {
    int64_t ns, ofi_1, ofi_5, signed_lots, square;
    int32_t is_trade, cancels;
    double mid2, micro2;
} Past;

typedef struct {
    int64_t head, oldest_200ms, oldest_1s, oldest_1500ms, oldest_2s; /* places in the ring, ever growing */
    int64_t ofi_1, ofi_5, flow, volume, trades;                      /* over 1 s */
    int64_t squares;                                                 /* over 1.5 s */
    int64_t cancels, updates;                                        /* over 2 s */
} Windows;

typedef struct {
    double ofi_1[3], ofi_5[3], flow[3], count[3]; /* 4, 16, 64 s */
    double square[2], volume[2];                  /* 16, 64 s */
    double mid[4];                                /* 1, 4, 16, 64 s */
    double imbalance_5[3], imbalance_10, spread, depth;
} Averages;

typedef struct {
    int started, usable;
    int64_t last_ns, start_ns, trade_ns, trade_ticks, spread, depth;
    int64_t book[4 * LEVELS];
    double mid2, micro2, bps, ladder[LADDER];
    double first_mid2, first_micro2; /* what prices of the past are before there is a past */
    Windows windows;
    Averages averages;
    int64_t first; /* place in the ring of the first event since the start */
    int64_t mask;
    Past ring[];
} Twin;

Twin *twin_new(int64_t capacity)
{
    Twin *twin = calloc(1, sizeof(Twin) + (size_t)capacity * sizeof(Past));
    twin->mask = capacity - 1;
    return twin;
}

void twin_free(Twin *twin) { free(twin); }

static inline double share(int64_t bought, int64_t sold) { return (double)(bought - sold) / (double)(bought + sold); }

static inline int64_t book_of_one_side(const int64_t *ticks, const int64_t *lots, int sign, int64_t depth[2],
                                       double gap[2], int64_t far[2])
{
    int64_t moment = 0, sum = 0, most = 0;
    for (int level = 0; level < LEVELS; level++) {
        int64_t away = lots[level] > 0 ? sign * (ticks[0] - ticks[level]) : 0;
        if (away > (1 << 28)) away = 1 << 28;
        sum += lots[level];
        moment += away * lots[level];
        if (away > most) most = away;
        if (level == TOP - 1 || level == LEVELS - 1) {
            int deep = level == LEVELS - 1;
            depth[deep] = sum;
            gap[deep] = (double)moment / (double)sum;
            far[deep] = most;
        }
    }
    return lots[0];
}

static inline int64_t read_ladder(Twin *w, const int64_t *row)
{
    int64_t bid_depth[2], ask_depth[2], bid_far[2], ask_far[2];
    double bid_gap[2], ask_gap[2];
    int64_t bid_1 = book_of_one_side(row + BIDS, row + BID_LOTS, 1, bid_depth, bid_gap, bid_far);
    int64_t ask_1 = book_of_one_side(row + ASKS, row + ASK_LOTS, -1, ask_depth, ask_gap, ask_far);
    int64_t spread_ticks = row[ASKS] - row[BIDS];
    double spread = (double)spread_ticks, mid2 = (double)(row[BIDS] + row[ASKS]), bps = 1e4 / mid2;
    double *f = w->ladder;
    f[0] = spread;
    f[1] = 2.0 * spread * bps;
    f[3] = share(bid_1, ask_1);
    f[2] = spread * f[3] * bps;
    f[4] = share(bid_depth[0], ask_depth[0]);
    f[5] = share(bid_depth[1], ask_depth[1]);
    f[6] = (double)bid_1;
    f[9] = (double)ask_1;
    for (int deep = 0; deep < 2; deep++) {
        f[7 + deep] = (double)bid_depth[deep];
        f[10 + deep] = (double)ask_depth[deep];
        f[12 + deep] = (spread + 2.0 * bid_gap[deep]) * bps;
        f[14 + deep] = (spread + 2.0 * ask_gap[deep]) * bps;
        f[16 + deep] = (spread + 2.0 * (double)bid_far[deep]) * bps;
        f[18 + deep] = (spread + 2.0 * (double)ask_far[deep]) * bps;
    }
    int64_t move = (int64_t)(mid2 - w->mid2);
    if (move > (1 << 20)) move = 1 << 20;
    if (move < -(1 << 20)) move = -(1 << 20);
    w->mid2 = mid2;
    w->micro2 = mid2 + spread * f[3];
    w->bps = bps;
    w->spread = spread_ticks;
    w->depth = bid_depth[1] + ask_depth[1];
    return move * move;
}

static void start(Twin *w, const int64_t *row, int64_t ns)
{
    Windows *v = &w->windows;
    Averages *a = &w->averages;
    int64_t head = v->head;
    memset(v, 0, sizeof *v);
    memset(a, 0, sizeof *a);
    v->head = v->oldest_200ms = v->oldest_1s = v->oldest_1500ms = v->oldest_2s = w->first = head;
    w->started = 1;
    w->start_ns = w->last_ns = ns;
    w->trade_ns = ns - 2 * WARMUP;
    memcpy(w->book, row + BIDS, sizeof w->book);
    w->mid2 = (double)(row[BIDS] + row[ASKS]);
    read_ladder(w, row);
    w->first_mid2 = w->mid2;
    w->first_micro2 = w->micro2;
    for (int k = 0; k < 4; k++) a->mid[k] = w->mid2;
    for (int k = 0; k < 3; k++) a->imbalance_5[k] = w->ladder[4];
    a->imbalance_10 = w->ladder[5];
    a->spread = (double)w->spread;
    a->depth = (double)w->depth;
}

static inline void order_flow(Twin *w, const int64_t *row, Past *now)
{
    const int64_t *was = w->book;
    int64_t sum = 0;
    int shrunk = 0;
    for (int level = 0; level < TOP; level++) {
        int64_t bid = row[BIDS + level], ask = row[ASKS + level];
        int64_t bid_lots = row[BID_LOTS + level], ask_lots = row[ASK_LOTS + level];
        int64_t bid_was = was[level], ask_was = was[LEVELS + level];
        int64_t bid_lots_were = was[2 * LEVELS + level], ask_lots_were = was[3 * LEVELS + level];
        if (bid >= bid_was) sum += bid_lots;
        if (bid <= bid_was) sum -= bid_lots_were;
        if (ask <= ask_was) sum -= ask_lots;
        if (ask >= ask_was) sum += ask_lots_were;
        if (bid == bid_was && bid_lots < bid_lots_were) shrunk = 1;
        if (ask == ask_was && ask_lots < ask_lots_were) shrunk = 1;
        if (level == 0) now->ofi_1 = sum;
    }
    now->ofi_5 = sum;
    now->cancels = shrunk;
    memcpy(w->book, row + BIDS, sizeof w->book);
}

static inline double blend(double mean, double x, double weight) { return x + (mean - x) * weight; }

static inline void average(Twin *w, const Past *now)
{
    Averages *a = &w->averages;
    double w64 = exp((double)(now->ns - w->last_ns) * (-1e-9 / 64.0));
    double w32 = w64 * w64, w16 = w32 * w32, w8 = w16 * w16, w4 = w8 * w8, w2 = w4 * w4, w1 = w2 * w2;
    const double weight[4] = {w1, w4, w16, w64};
    int64_t size = now->signed_lots < 0 ? -now->signed_lots : now->signed_lots;
    for (int k = 0; k < 3; k++) {
        a->ofi_1[k] = a->ofi_1[k] * weight[k + 1] + (double)now->ofi_1;
        a->ofi_5[k] = a->ofi_5[k] * weight[k + 1] + (double)now->ofi_5;
        a->flow[k] = a->flow[k] * weight[k + 1] + (double)now->signed_lots;
        a->count[k] = a->count[k] * weight[k + 1] + (double)now->is_trade;
        a->imbalance_5[k] = blend(a->imbalance_5[k], w->ladder[4], weight[k + 1]);
    }
    for (int k = 0; k < 2; k++) {
        a->square[k] = a->square[k] * weight[k + 2] + (double)now->square;
        a->volume[k] = a->volume[k] * weight[k + 2] + (double)size;
    }
    for (int k = 0; k < 4; k++) a->mid[k] = blend(a->mid[k], w->mid2, weight[k]);
    a->imbalance_10 = blend(a->imbalance_10, w->ladder[5], w64);
    a->spread = blend(a->spread, (double)w->spread, w64);
    a->depth = blend(a->depth, (double)w->depth, w64);
    w->last_ns = now->ns;
}

static inline void slide(Twin *w, const Past *now)
{
    Windows *v = &w->windows;
    const Past *ring = w->ring;
    int64_t mask = w->mask, ns = now->ns;
    w->ring[v->head++ & mask] = *now;
    v->ofi_1 += now->ofi_1;
    v->ofi_5 += now->ofi_5;
    v->flow += now->signed_lots;
    v->volume += llabs(now->signed_lots);
    v->trades += now->is_trade;
    v->squares += now->square;
    v->cancels += now->cancels;
    v->updates += !now->is_trade;
    while (ring[v->oldest_200ms & mask].ns <= ns - SECOND / 5) v->oldest_200ms++;
    for (const Past *p; (p = &ring[v->oldest_1s & mask])->ns <= ns - SECOND; v->oldest_1s++) {
        v->ofi_1 -= p->ofi_1;
        v->ofi_5 -= p->ofi_5;
        v->flow -= p->signed_lots;
        v->volume -= llabs(p->signed_lots);
        v->trades -= p->is_trade;
    }
    for (const Past *p; (p = &ring[v->oldest_1500ms & mask])->ns <= ns - 3 * SECOND / 2; v->oldest_1500ms++)
        v->squares -= p->square;
    for (const Past *p; (p = &ring[v->oldest_2s & mask])->ns <= ns - 2 * SECOND; v->oldest_2s++) {
        v->cancels -= p->cancels;
        v->updates -= !p->is_trade;
    }
}

static inline double no_trace(double x) { return fabs(x) >= 1e-9 ? x : 0.0; }

static inline float regime(double x, double low, double high) { return x < low ? 0.0f : x > high ? 2.0f : 1.0f; }

static inline void write_row(const Twin *w, float *out)
{
    const Windows *v = &w->windows;
    const Averages *a = &w->averages;
    double bps = w->bps, mid2 = w->mid2;
    int past_200ms = v->oldest_200ms > w->first, past_1s = v->oldest_1s > w->first;
    double micro_was = past_200ms ? w->ring[(v->oldest_200ms - 1) & w->mask].micro2 : w->first_micro2;
    double mid_was = past_1s ? w->ring[(v->oldest_1s - 1) & w->mask].mid2 : w->first_mid2;
    for (int k = 0; k < LADDER; k++) out[k] = (float)w->ladder[k];
    out[20] = (float)((w->micro2 - micro_was) * bps);
    out[21] = (float)((mid2 - mid_was) * bps);
    out[22] = (float)v->ofi_1;
    out[23] = (float)v->ofi_5;
    for (int k = 0; k < 3; k++) {
        out[24 + k] = (float)no_trace(a->ofi_1[k]);
        out[27 + k] = (float)no_trace(a->ofi_5[k]);
        out[30 + k] = (float)no_trace(a->flow[k]);
        out[33 + k] = (float)no_trace(a->count[k] / (double)(4 << 2 * k));
        out[48 + k] = (float)no_trace(a->imbalance_5[k]);
    }
    out[36] = v->volume ? (float)((double)v->flow / (double)v->volume) : 0.0f;
    for (int k = 0; k < 2; k++) {
        out[37 + k] = a->volume[k] >= 1e-3 ? (float)(a->flow[k + 1] / a->volume[k]) : 0.0f;
        out[42 + k] = (float)(sqrt(no_trace(a->square[k])) * bps);
    }
    out[39] = (float)v->trades;
    out[40] = w->last_ns - w->trade_ns <= 64 * SECOND ? (float)(((double)(2 * w->trade_ticks) - mid2) * bps) : 0.0f;
    out[41] = (float)(sqrt((double)v->squares) * bps);
    for (int k = 0; k < 4; k++) out[44 + k] = (float)((mid2 - a->mid[k]) * bps);
    out[51] = (float)no_trace(a->imbalance_10);
    out[52] = v->updates ? (float)((double)v->cancels / (double)v->updates) : 0.0f;
    double depth_ratio = (double)w->depth / a->depth, usual = no_trace(a->square[1]) * (1.5 / 64.0);
    out[53] = (float)depth_ratio;
    out[54] = regime((double)w->spread, 0.75 * a->spread, 1.5 * a->spread);
    out[55] = regime((double)v->squares, 0.25 * usual, 2.25 * usual);
    out[56] = regime(depth_ratio, 0.7, 1.3);
    out[57] = (float)(0.5 * mid2);
    out[58] = (float)(0.5 * w->micro2);
}

/* Take n events; return how many were taken: fewer than n when the ring ran full. */
int64_t twin_run(Twin *restrict w, const int64_t *restrict events, int64_t n, float *restrict out,
                 uint8_t *restrict valid)
{
    for (int64_t k = 0; k < n; k++) {
        const int64_t *row = events + k * WIDTH;
        float *to = out + k * COLUMNS;
        Past now = {.ns = row[T_NS] > w->last_ns ? row[T_NS] : w->last_ns, .is_trade = row[KIND] != 0};
        if (!now.is_trade) {
            w->usable = row[BID_LOTS] > 0 && row[ASK_LOTS] > 0 && row[BIDS] > 0 && row[BIDS] <= row[ASKS];
            if (row[FLAGS] & RESET) w->started = 0;
            if (!w->started && w->usable) start(w, row, now.ns);
            if (w->started) {
                order_flow(w, row, &now);
                if (w->usable) now.square = read_ladder(w, row);
            }
        } else if (w->started) {
            now.signed_lots = row[SIGNED];
            w->trade_ns = now.ns;
            w->trade_ticks = row[PRICE];
        }
        valid[k] = 0;
        if (w->started) {
            now.mid2 = w->mid2;
            now.micro2 = w->micro2;
            average(w, &now);
            slide(w, &now);
            if (w->windows.head - w->windows.oldest_2s >= w->mask) return k;
            valid[k] = w->usable && now.ns - w->start_ns >= WARMUP;
        }
        if (valid[k])
            write_row(w, to);
        else
            for (int c = 0; c < COLUMNS; c++) to[c] = NAN;
    }
    return n;
}
