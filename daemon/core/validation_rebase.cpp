#include "daemon/core/validation.hpp"

namespace gatehouse {

void rebase(MeterState& state, Milli total, const Rational& multiplier) {
    if (!state.baseline) return;
    const auto counted = figure(state.baseline->exact, multiplier);
    if (!counted) return;
    state.baseline->total = total;
    state.base = CounterBase{total, *counted, multiplier};
    if (!state.neighbour) return;
    const auto next = figure(state.neighbour->value.exact, multiplier);
    const auto beyond = figure(state.neighbour->unrolled, multiplier);
    if (!next || !beyond) return;
    state.neighbour->value.figure = *next;
    state.neighbour->value.total = total + (*beyond - *counted);
}

}  // namespace gatehouse
