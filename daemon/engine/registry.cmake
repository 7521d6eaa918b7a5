# The registry folder's reader and writer: values only, so it stands below the engine and knows
# neither store nor thread.
add_library(gatehouse_registry INTERFACE)
target_link_libraries(gatehouse_registry INTERFACE gatehouse_core)
