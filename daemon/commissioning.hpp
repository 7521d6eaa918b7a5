// What a technician does on a bus, between HTTP and the bus service: the search for meters and the
// setting of a meter's or a key cabinet's clock. It translates and keeps the last search of each
// bus, and decides nothing. Any thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "daemon/config/config.hpp"
#include "daemon/http/ports.hpp"
#include "daemon/reload.hpp"
#include "drivers/cabinet/cabinet_service.hpp"
#include "drivers/modbus/bus_service.hpp"
#include "drivers/modbus/clock_job.hpp"
#include "drivers/modbus/scan_job.hpp"

namespace gatehouse {

class BusCommissioning final : public http::Commissioning {
  public:
    using RegistryNow = std::function<std::shared_ptr<const Registry>()>;
    BusCommissioning(const LiveConfig& config, const modbus::ProfileTable& profiles,
                     const Clock& clock)
        : config_(config), profiles_(profiles), clock_(clock) {}
    void attach(modbus::BusService* buses, const Zone* zone, RegistryNow registry);
    void attach_cabinets(cabinet::CabinetService* cabinets);

    [[nodiscard]] Started start_scan(const http::ScanRequest& request, std::string& why) override;
    [[nodiscard]] std::optional<http::ScanView> scan(const std::string& bus) override;
    bool cancel_scan(const std::string& bus) override;
    [[nodiscard]] bool can_set_clock(const std::string& meter, std::string& why) override;
    [[nodiscard]] bool set_clock(const std::string& meter, std::int64_t offset_ms,
                                 ClockHandler handler, std::string& why) override;
    [[nodiscard]] bool can_set_cabinet_clock(const std::string& cabinet, std::string& why) override;
    [[nodiscard]] bool set_cabinet_clock(const std::string& cabinet, std::int64_t offset_ms,
                                         CabinetClockHandler handler, std::string& why) override;

  private:
    struct Place {
        std::string bus;
        int address = 1;
        std::int64_t timeout_ms = 1'000;
        std::shared_ptr<const modbus::Profile> profile;
    };
    [[nodiscard]] std::optional<Place> place_of(const std::string& meter, std::string& why);
    [[nodiscard]] std::shared_ptr<modbus::ScanJob> job_of(const std::string& bus);

    const LiveConfig& config_;
    const modbus::ProfileTable& profiles_;
    const Clock& clock_;
    std::mutex mutex_;
    modbus::BusService* buses_ = nullptr;
    cabinet::CabinetService* cabinets_ = nullptr;
    const Zone* zone_ = nullptr;
    RegistryNow registry_;
    std::map<std::string, std::shared_ptr<modbus::ScanJob>> scans_;  // the last one of each bus
};

}  // namespace gatehouse
