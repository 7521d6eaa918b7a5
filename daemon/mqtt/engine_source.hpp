// The publisher's source in service: snapshot and cursor through the engine, the event log through
// a read-only handle of the store. The handle is opened at the first use, on the publishing thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "daemon/core/key_event.hpp"
#include "daemon/core/time.hpp"
#include "daemon/mqtt/source.hpp"

namespace gatehouse {
class Engine;
}

namespace gatehouse::mqtt {

// The decoding that HTTP and MQTT share stands with the drivers; a text says why nothing was taken.
using PushDecoder = std::function<std::variant<KeyPush, std::string>(std::string_view body,
                                                                     const std::string& cabinet)>;

class EngineSource final : public Source {
  public:
    EngineSource(Engine& engine, std::string database_path, const Zone& zone,
                 PushDecoder decode_push = nullptr);
    ~EngineSource() override;

    std::shared_ptr<const Snapshot> snapshot() override;
    std::vector<LogRow> events_after(std::uint64_t seq, std::size_t limit) override;
    std::optional<SealHead> newest_seal() override;
    std::optional<SealHead> seal_after(const std::string& day) override;
    std::string seal_told() override;
    bool advance_cursor(std::uint64_t seq, const std::string& sealed) override;
    std::optional<std::uint64_t> disk_free_bytes() override;
    void take_push(const std::string& cabinet, const std::string& body,
                   std::function<void(std::string)> answer) override;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace gatehouse::mqtt
