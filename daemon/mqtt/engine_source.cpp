#include "daemon/mqtt/engine_source.hpp"

#include <filesystem>
#include <utility>

#include "daemon/engine/engine.hpp"
#include "daemon/engine/json_writer.hpp"
#include "daemon/engine/key_room.hpp"
#include "daemon/store/reader.hpp"

namespace gatehouse::mqtt {

struct EngineSource::Impl {
    Engine& engine;
    std::string path;
    const Zone& zone;
    PushDecoder decode_push;
    std::optional<StoreReader> reader;
    std::optional<SealHead> seal;
    std::uint64_t sealed_seq = 0;  // of the snapshot when the store was asked

    StoreReader& store() {
        if (!reader) reader.emplace(path);
        return *reader;
    }
};

EngineSource::EngineSource(Engine& engine, std::string database_path, const Zone& zone,
                           PushDecoder decode_push)
    : impl_(std::make_unique<Impl>(
          Impl{engine, std::move(database_path), zone, std::move(decode_push), {}, {}, 0})) {}

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
    if (rows.size() < limit) impl_->store().rest();  // it has caught up
    return rows;
}

std::optional<SealHead> EngineSource::newest_seal() {
    const std::shared_ptr<const Snapshot> now = snapshot();
    const LocalDate today = impl_->zone.local(now->now_ms).date;
    const std::string date = format_date(date_from_days(days_since_epoch(today) - 1));
    // The engine seals a day when it has ended; until then the one before it is the newest.
    if (impl_->seal && (impl_->seal->date == date || impl_->sealed_seq == now->event_seq))
        return impl_->seal;
    const LogHead head = impl_->store().newest_seal();
    impl_->sealed_seq = now->event_seq;
    if (!head.day.empty()) impl_->seal = SealHead{head.day, head.seq, head.h};
    return impl_->seal;
}

bool EngineSource::advance_cursor(std::uint64_t seq) {
    return impl_->engine.submit(MqttCursor{seq}, [](const Reply&) {});
}

// A push that is wrong is answered so, and acknowledges nothing; one that the engine cannot take
// now is not answered, and comes again.
void EngineSource::take_push(const std::string& cabinet, const std::string& body,
                             std::function<void(std::string)> answer) {
    if (!impl_->decode_push) return answer("");
    auto decoded = impl_->decode_push(body, cabinet);
    if (const std::string* why = std::get_if<std::string>(&decoded)) {
        JsonWriter json;
        json.begin_object().field("error", *why).end_object();
        return answer(json.take());
    }
    RoomCommand command;
    command.actor = "cabinet:" + cabinet;
    command.work =
        std::make_shared<const RoomWork>(RoomWork{std::move(std::get<KeyPush>(decoded))});
    const bool taken = impl_->engine.submit(std::move(command), [answer](const Reply& reply) {
        answer(reply.kind == ReplyKind::ok ? reply.json : std::string());
    });
    if (!taken) answer("");
}

std::optional<std::uint64_t> EngineSource::disk_free_bytes() {
    std::error_code error;
    const auto folder = std::filesystem::path(impl_->path).parent_path();
    const auto space = std::filesystem::space(folder.empty() ? "." : folder, error);
    if (error) return std::nullopt;
    return space.available;
}

}  // namespace gatehouse::mqtt
