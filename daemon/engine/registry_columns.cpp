#include "daemon/core/assert.hpp"
#include "daemon/engine/registry_fields.hpp"

namespace gatehouse::registry_files {

const char* to_string(Table table) {
    switch (table) {
        case Table::units:
            return "units";
        case Table::people:
            return "people";
        case Table::meters:
            return "meters";
        case Table::accounts:
            return "accounts";
        case Table::tariffs:
            return "tariffs";
        case Table::pools:
            return "pools";
        case Table::calendar:
            return "calendar";
        case Table::staff:
            return "staff";
        case Table::keys:
            return "keys";
    }
    return "";
}

namespace {

// English `unit` is a dwelling or shop (房号); Chinese 单元 is the stairway, which is `entrance`.
FileColumns units_columns() {
    return {Table::units,
            "units.csv",
            {{"unit", true, {"房号", "户号", "房间", "房屋编号"}, "identifier"},
             {"label", false, {"标签", "房屋名称", "地址"}, "as people say it"},
             {"building", false, {"楼栋", "楼号", "栋"}, "text"},
             {"entrance", false, {"单元", "梯口"}, "text"},
             {"floor", false, {"楼层", "层"}, "text"},
             {"use", false, {"用途", "房屋用途"}, "home, shop, common; home"},
             {"status",
              false,
              {"状态", "房屋状态"},
              "not_delivered, vacant, fitting_out, occupied, let, away; occupied"},
             {"area", false, {"面积", "建筑面积"}, "m2, 2 places"},
             {"persons", false, {"人数", "人口", "居住人数"}, "0 to 99"},
             {"walk_order", false, {"走访顺序", "顺序", "派单顺序"}, "whole number"},
             {"collector", false, {"收费员", "管家", "片区收费员"}, "staff"},
             {"care", false, {"重点关照", "关照"}, "text"}}};
}

FileColumns people_columns() {
    return {Table::people,
            "people.csv",
            {{"person", true, {"人员编号", "人员", "客户编号"}, "identifier"},
             {"kind", true, {"类别", "人员类别"}, "owner, tenant, shop, contractor"},
             {"name", true, {"姓名", "名称"}, "text"},
             {"phone", false, {"电话", "手机", "联系电话"}, "text"},
             {"unit", false, {"房号", "户号"}, "unit"},
             {"company", false, {"公司", "单位名称"}, "text"},
             {"valid_from", false, {"起始日期", "入住日期"}, "date"},
             {"valid_to", false, {"截止日期", "迁出日期"}, "date"}}};
}

FileColumns meters_columns() {
    return {Table::meters,
            "meters.csv",
            {{"meter", true, {"表号", "表计编号", "仪表编号"}, "identifier"},
             {"unit", false, {"房号", "户号"}, "unit"},
             {"service", true, {"类型", "能源", "表类型"}, "electricity, water"},
             {"role", false, {"角色", "表计角色"}, "unit, main, public, check; unit"},
             {"parent", false, {"上级表", "总表"}, "meter"},
             {"bus", false, {"总线", "采集总线"}, "bus of the configuration; empty: read by eye"},
             {"address", false, {"通讯地址", "地址", "站号"}, "1 to 247; empty: read by eye"},
             {"channel", false, {"通道", "回路"}, "0 to 255"},
             {"profile", false, {"型号", "表型号"}, "profile"},
             {"serial", false, {"通讯序列号", "序列号"}, "as read over the bus"},
             {"nameplate", false, {"铭牌号", "出厂编号"}, "as on the case"},
             {"location", false, {"安装位置", "位置"}, "text"},
             {"multiplier", false, {"倍率"}, "exact decimal; 1"},
             {"offset", false, {"表盘差", "字轮差"}, "exact decimal: dial - counter at pairing"},
             {"rated_amps", false, {"最大电流", "额定电流"}, "exact decimal, meter side"},
             {"rated_flow", false, {"额定流量", "最大流量"}, "exact decimal, m3/h"},
             {"opening_register", false, {"期初读数", "起码"}, "face, before the multiplier"},
             {"opening_at", false, {"期初时间", "起码日期"}, "date or ISO 8601"},
             {"account", false, {"账户", "收费账户"}, "account"},
             {"tariff", false, {"电价", "价格方案", "资费"}, "tariff"},
             {"status", false, {"状态", "表计状态"}, "active, stored, retired; active"}}};
}

FileColumns accounts_columns() {
    return {Table::accounts,
            "accounts.csv",
            {{"account", true, {"账户", "账号", "账户编号"}, "identifier"},
             {"unit", false, {"房号", "户号"}, "unit"},
             {"service", true, {"类型", "能源"}, "electricity, water, all"},
             {"tariff", true, {"价格方案", "资费", "电价"}, "tariffs, electricity first"},
             {"holder", false, {"户主", "持有人"}, "person"},
             {"billing", false, {"计费方式", "收费方式"}, "prepaid, internal, none; prepaid"},
             {"opening_balance", false, {"期初余额"}, "amount, may be negative"},
             {"opening_ladder", false, {"期初阶梯用量", "已用阶梯量"}, "quantities, as tariff"},
             {"live_from", false, {"启用日期", "上线日期"}, "date; empty: at once"},
             {"low_balance", false, {"低余额", "预警余额"}, "amount"},
             {"low_days", false, {"低余额天数", "预警天数"}, "0 to 365"},
             {"critical_balance", false, {"紧急余额"}, "amount"},
             {"critical_days", false, {"紧急天数"}, "0 to 365"},
             {"overdraft", false, {"透支限额", "透支"}, "amount"},
             {"hoarding_cap", false, {"囤积上限", "余额上限"}, "amount"},
             {"chase", false, {"催缴"}, "yes, no"},
             {"old_number", false, {"旧户号", "原户号"}, "text"},
             {"closed", false, {"销户时间", "销户"}, "written by export, read-only"}}};
}

FileColumns pools_columns() {
    return {Table::pools,
            "pools.csv",
            {{"pool", true, {"公摊编号", "公摊"}, "identifier"},
             {"service", true, {"类型", "能源"}, "electricity, water"},
             {"main", true, {"总表"}, "meters"},
             {"subs", false, {"分表"}, "meters"},
             {"share", true, {"分摊方式"}, "equal, area, usage"},
             {"members", true, {"分摊户", "成员"}, "units"},
             {"tariff", true, {"价格方案", "资费", "电价"}, "tariff"}}};
}

FileColumns calendar_columns() {
    return {Table::calendar,
            "calendar.csv",
            {{"date", true, {"日期"}, "date"},
             {"kind", true, {"类别", "类型"}, "holiday, workday"},
             {"name", false, {"名称", "节日"}, "text"}}};
}

FileColumns staff_columns() {
    return {Table::staff,
            "staff.csv",
            {{"staff", true, {"工号", "员工编号"}, "identifier"},
             {"name", true, {"姓名"}, "text"},
             {"roles",
              true,
              {"岗位", "角色"},
              "desk, duty, collector, cashier, billing, tech, head, admin, contractor"},
             {"department", false, {"部门"}, "text"},
             {"phone", false, {"电话", "手机"}, "text"},
             {"cards", false, {"卡号", "门禁卡"}, "format:value"},
             {"active_to", false, {"离职日期", "有效期至"}, "date"},
             {"cash_limit", false, {"现金限额"}, "amount"}}};
}

FileColumns keys_columns() {
    return {Table::keys,
            "keys.csv",
            {{"key", true, {"钥匙编号", "钥匙"}, "identifier"},
             {"class",
              true,
              {"类别", "钥匙类别"},
              "entrusted, vacant, public, equipment, rework, reserve_sealed, master, no_loan"},
             {"cabinet", false, {"钥匙柜", "柜号"}, "cabinet of the configuration"},
             {"slot", false, {"柜位", "槽位"}, "1 to 9999"},
             {"place", false, {"存放处", "存放位置"}, "text"},
             {"tag", false, {"标签卡", "电子标签"}, "text"},
             {"count", false, {"把数", "数量"}, "0 to 9999"},
             {"opens", false, {"可开", "对应房间"}, "units or areas"},
             {"max_hold", false, {"最长借用", "借用时限"}, "duration such as 8h"},
             {"curfew", false, {"归还时刻", "宵禁"}, "time of the day"},
             {"needs_second", false, {"需双人", "双人"}, "yes, no"},
             {"seal_no", false, {"封条号"}, "text"},
             {"set", false, {"套号", "套"}, "text"},
             {"label", false, {"标签", "牌号"}, "text"}}};
}

}  // namespace

const std::vector<FileColumns>& file_columns() {
    static const std::vector<FileColumns> kFiles{
        units_columns(), people_columns(),   meters_columns(), accounts_columns(),
        pools_columns(), calendar_columns(), staff_columns(),  keys_columns()};
    return kFiles;
}

const FileColumns& columns_of(Table table) {
    for (const auto& file : file_columns()) {
        if (file.table == table) {
            return file;
        }
    }
    GH_ASSERT(!"tariffs have no columns");
    return file_columns().front();
}

}  // namespace gatehouse::registry_files
