#include "daemon/mqtt/engine_source.hpp"

#include <filesystem>
#include <utility>

#include "daemon/engine/engine.hpp"
#include "daemon/store/reader.hpp"

namespace gatehouse::mqtt {

struct EngineSource::Impl {
    Engine& engine;
    std::string path;
    const Zone& zone;
    std::optional<StoreReader> reader;
    std::optional<SealHead> seal;

    StoreReader& store() {
        if (!reader) reader.emplace(path);
        return *reader;
    }

    // The newest row before an instant. Times rise with seq but for rows whose clock was not yet
    // trusted, and a day's head need only be one row that was there and is named.
    std::optional<StoredEvent> last_before(UtcMs at, std::uint64_t newest) {
        std::uint64_t low = 0;  // 0, or a row before `at`
        std::uint64_t high = newest + 1;
        std::optional<StoredEvent> found;
        while (high - low > 1) {
            const std::uint64_t middle = low + (high - low) / 2;
            std::vector<StoredEvent> rows = store().events_after(middle - 1, 1);
            if (rows.empty() || rows.front().seq >= high || rows.front().at.at >= at) {
                high = middle;
                continue;
            }
            low = rows.front().seq;
            found = std::move(rows.front());
        }
        return found;
    }
};

EngineSource::EngineSource(Engine& engine, std::string database_path, const Zone& zone)
    : impl_(std::make_unique<Impl>(Impl{engine, std::move(database_path), zone, {}, {}})) {}

EngineSource::~EngineSource() = default;

std::shared_ptr<const Snapshot> EngineSource::snapshot() {
    return impl_->engine.snapshot();
}

std::vector<LogRow> EngineSource::events_after(std::uint64_t seq, std::size_t limit) {
    std::vector<LogRow> rows;
    for (StoredEvent& event : impl_->store().events_after(seq, limit)) {
        LogRow row{event.seq, std::move(event.kind), std::nullopt};
        if (event.removed.empty()) row.body = std::move(event.body);
        rows.push_back(std::move(row));
    }
    return rows;
}

std::optional<SealHead> EngineSource::newest_seal() {
    const std::shared_ptr<const Snapshot> now = snapshot();
    const LocalDate today = impl_->zone.local(now->now_ms).date;
    const std::string date = format_date(date_from_days(days_since_epoch(today) - 1));
    if (impl_->seal && impl_->seal->date == date) return impl_->seal;
    const auto head = impl_->last_before(impl_->zone.midnight(today), now->event_seq);
    if (!head) return std::nullopt;
    impl_->seal = SealHead{date, head->seq, head->h};
    return impl_->seal;
}

bool EngineSource::advance_cursor(std::uint64_t seq) {
    return impl_->engine.submit(MqttCursor{seq}, [](const Reply&) {});
}

std::optional<std::uint64_t> EngineSource::disk_free_bytes() {
    std::error_code error;
    const auto folder = std::filesystem::path(impl_->path).parent_path();
    const auto space = std::filesystem::space(folder.empty() ? "." : folder, error);
    if (error) return std::nullopt;
    return space.available;
}

}  // namespace gatehouse::mqtt
