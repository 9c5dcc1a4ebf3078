"""Plans as DAGs: the factory, its loader and operators, the trigger, and the planner's own DAG."""
