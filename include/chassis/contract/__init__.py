"""What the parts of Chassis say to each other: names, addresses, and the types of what crosses a border. No Airflow."""
