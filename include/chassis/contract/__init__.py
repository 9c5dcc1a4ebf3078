"""What the parts of Chassis share: names, addresses, and the types of what crosses a border. No Airflow."""
