// A job: exchanges that somebody else than the poller wants on a bus while polling goes on, such as
// a search for meters. It is a step machine without input or output: the bus asks it for its next
// exchange when it is the job's turn, carries that out between two polls, and tells how it ended.
// Polls that are due come first and leave a job a quarter of the bus; what nobody needs is its.
// All calls come from the bus thread, one at a time; whoever made the job may look at it from
// elsewhere only through what the job itself guards.
#pragma once

#include <optional>
#include <string>

#include "drivers/modbus/link.hpp"

namespace gatehouse::modbus {

struct JobExchange {
    Request request;  // address, span, timeout to the first byte of the reply
    // Other settings of a serial line for this exchange alone; they are put back before the next
    // poll. Each change costs some silence: ask all of one setting in a row.
    std::optional<LineSettings> line;
    // Listens so long after a good reply, for a second one: Reply::after. 0: not at all.
    std::int64_t listen_ms = 0;
    // Written instead of the read. Of all jobs only the setting of a meter's clock has one.
    std::optional<WriteRequest> write;
};

class BusJob {
  public:
    virtual ~BusJob() = default;
    // The next exchange, or nothing when the job is done; finished() follows then.
    [[nodiscard]] virtual std::optional<JobExchange> next() = 0;
    // How it ended, its bytes included. Three refusals come without anything on the wire, with
    // result `busy` and the reason in `detail`: an address that still owes a late reply of the same
    // length (ask another length, or come back after half a minute), settings of a line that has
    // none (Modbus TCP), and settings that the line does not take. A lost connection is
    // `not_connected`; the job is asked again when the bus is connected again, or is finished.
    virtual void ended(const JobExchange& exchange, const Reply& reply) = 0;
    // Once, last. Empty: next() said that it is done. Else why it ended early, in one line: the
    // bus went away or was changed, the daemon stops.
    virtual void finished(const std::string& reason) = 0;
};

}  // namespace gatehouse::modbus
