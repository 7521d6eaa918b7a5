#include "daemon/mqtt/engine_source.hpp"

#include <filesystem>
#include <utility>

#include "daemon/engine/command_desk.hpp"
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

    StoreReader& store() {
        if (!reader) reader.emplace(path);
        return *reader;
    }
    std::optional<SealHead> seal(LogHead head) {
        reader->rest();
        if (head.day.empty()) return std::nullopt;
        return SealHead{std::move(head.day), head.seq, std::move(head.h)};
    }
};

EngineSource::EngineSource(Engine& engine, std::string database_path, const Zone& zone,
                           PushDecoder decode_push)
    : impl_(std::make_unique<Impl>(
          Impl{engine, std::move(database_path), zone, std::move(decode_push), {}})) {}

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
    return impl_->seal(impl_->store().newest_seal());
}

// The engine seals a day when it has ended, so after yesterday there is none to look for.
std::optional<SealHead> EngineSource::seal_after(const std::string& day) {
    const LocalDate today = impl_->zone.local(snapshot()->now_ms).date;
    if (day >= format_date(date_from_days(days_since_epoch(today) - 1))) return std::nullopt;
    return impl_->seal(impl_->store().seal_after(day));
}

std::string EngineSource::seal_told() {
    return impl_->store().note(kSealToldNote);
}

bool EngineSource::advance_cursor(std::uint64_t seq, const std::string& sealed) {
    return impl_->engine.submit(MqttCursor{seq, sealed}, [](const Reply&) {});
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
