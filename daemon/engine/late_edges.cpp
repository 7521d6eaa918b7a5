#include "daemon/engine/late_edges.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "daemon/engine/account_replay.hpp"
#include "daemon/engine/edge_book.hpp"

namespace gatehouse {
namespace {

void put_in_order(MeterRuntime& meter, std::vector<Freeze> freezes) {
    std::stable_sort(freezes.begin(), freezes.end(),
                     [](const Freeze& a, const Freeze& b) { return a.edge < b.edge; });
    meter.unposted = {};
    for (const Freeze& freeze : freezes) meter.unposted.push_back(freeze);
}

// Where the meter's use stands in the lines of its account.
std::optional<UtcMs> marked_at(Context& context, const MeterRuntime& meter) {
    for (const AccountBooks::ChargedMeter& one :
         context.store.account_books().charged_meters(meter.mark.account))
        if (one.meter == meter.row->meter)
            return one.stands_at ? one.stands_at : context.best(one.at);
    return std::nullopt;
}

void split(Context& context, MeterRuntime& meter, std::uint64_t event) {
    TotalLine stretch;
    const std::optional<UtcMs> begin = marked_at(context, meter);
    if (!begin) return;
    stretch.to = *begin;
    stretch.to_total = meter.mark.total;
    std::vector<Freeze> freezes(meter.unposted.begin(), meter.unposted.end());
    std::vector<EdgeFigureRow> rows;
    AccountBooks& books = context.store.account_books();
    for (const Freeze& freeze : meter.unposted) {
        if (freeze.inside) continue;
        stretch = {stretch.to, freeze.edge, stretch.to_total, freeze.total};
        if (freeze.total < stretch.from_total) continue;
        for (const UtcMs edge : edges_within_day(*meter.tariff, stretch.from, stretch.to,
                                                 context.world.calendar, context.zone)) {
            const bool known =
                std::any_of(meter.unposted.begin(), meter.unposted.end(), [&](const Freeze& one) {
                    return one.inside && one.edge == edge && one.reading == freeze.reading;
                });
            if (known) continue;
            const auto told = line_told(books, meter.row->meter, stretch, edge);
            const Milli total = told ? told->at(edge) : stretch.at(edge);
            rows.push_back(
                {meter.mark.account, meter.row->meter, freeze.reading, edge, event, total});
            freezes.push_back({edge, total, freeze.reading, true});
        }
    }
    context.store.add_edge_figures(meter.mark.account, rows);
    put_in_order(meter, std::move(freezes));
}

}  // namespace

void take_late_bands(Context& context, std::size_t account, std::uint64_t event) {
    for (const std::size_t index : context.world.accounts[account].meters) {
        MeterRuntime& meter = context.world.meters[index];
        if (!meter.marked || meter.tariff == nullptr || !has_bands(*meter.tariff)) continue;
        if (!meter.unposted.empty()) split(context, meter, event);
        pass_late_edges(context, index);
    }
}

void load_splits(AccountBooks& books, MeterRuntime& meter) {
    if (!meter.marked || meter.unposted.empty()) return;
    std::vector<Freeze> freezes(meter.unposted.begin(), meter.unposted.end());
    for (const EdgeFigureRow& row : books.edge_figures(meter.mark.account, meter.mark.reading)) {
        const auto found =
            std::find_if(meter.unposted.begin(), meter.unposted.end(),
                         [&](const Freeze& freeze) { return freeze.reading == row.reading; });
        if (found != meter.unposted.end())
            freezes.push_back({row.at, row.total, row.reading, true});
    }
    put_in_order(meter, std::move(freezes));
}

}  // namespace gatehouse
