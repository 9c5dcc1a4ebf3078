"""Plans as DAGs: factory, loader, operators, trigger, and the planner's own DAG."""
