// The office closes its months: in two steps, now and then with a power cut between them.
#include "daemon/engine/period_documents.hpp"
#include "daemon/engine/sealed_text.hpp"
#include "daemon/store/reader.hpp"
#include "tests/simulation/money_world.hpp"

namespace gatehouse::money {

// The month that is due, where it is over; nobody closes one before its last day is posted.
void World::close_month() {
    if (import_due_) return;
    const std::string month = auditor_.month_due(*books_, calendar_.day_of(now_));
    if (month.empty()) return;
    look(true);
    const Reply reply = ask(BeginPeriod{"local", month, "s-01"});
    const bool waits = reply.kind == ReplyKind::unavailable || reply.type == "clock" ||
                       reply.type == "period-running" || reply.type == "period-unposted";
    if (waits) return;
    if (!is_done(reply)) throw Disagreement("month " + month + " is not closed: " + told(reply));
    auditor_.closes(month, number_field(reply.json, "last_entry"));
    // What broke off goes on another time.
    if (dice_.percent(20)) {
        power_cut(false);
        return;
    }
    seal_month(month);
}

void World::seal_month(const std::string& month) {
    std::vector<PeriodFile> files;
    {
        StoreReader reader(options_.database_path);
        const PeriodSite site{options_.site_id, options_.currency, false, zone_.get()};
        files = write_period(*parse_month(month), site, *engine_->snapshot(), reader);
    }
    std::map<std::string, std::string> texts, digests;
    for (const PeriodFile& file : files) {
        texts[file.name] = open_sealed(file);
        digests[file.name] = file.sha256;
    }
    auditor_.check_files(month, texts);
    for (Command& command : sealing("local", month, "s-01", std::move(files))) {
        const Reply reply = ask(std::move(command));
        if (reply.kind == ReplyKind::unavailable) return;
        if (!is_done(reply))
            throw Disagreement("month " + month + " is not sealed: " + told(reply));
    }
    auditor_.sealed(month, digests);
    ++deeds_.months;
}

}  // namespace gatehouse::money
